package poll

import (
	"testing"
	"time"
)

func TestPace_IsAFunctionOfTheSessionsAge(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{
		0: time.Second, 29 * time.Second: time.Second, 30 * time.Second: 2 * time.Second, 59 * time.Second: 2 * time.Second,
		60 * time.Second: 3 * time.Second, 2 * time.Minute: 5 * time.Second, 24 * time.Hour: 5 * time.Second,
	} {
		least, most := time.Hour, time.Duration(0)
		for range 2000 {
			pause := DefaultPace().after(age)
			least, most = min(least, pause), max(most, pause)
		}
		if least < want*9/10 || most > want*11/10 || most-least < want/10 {
			t.Errorf("at %v the pause is between %v and %v, want %v ±10 %%", age, least, most, want)
		}
	}
}

func TestErrorBackoff_RisesToThirtySecondsAndNeverStops(t *testing.T) {
	t.Parallel()
	b := newErrorBackoff()
	for i := range 100 {
		pause, want := b.NextBackOff(), min(time.Second<<min(i, 10), 30*time.Second)
		if pause < want*8/10 || pause > want*12/10 {
			t.Fatalf("pause %d is %v, want %v ±20 %%", i+1, pause, want)
		}
	}
}
