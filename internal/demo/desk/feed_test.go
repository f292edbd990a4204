package desk

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func keys(docs []document) string {
	var texts []string
	for _, d := range docs {
		texts = append(texts, string(d.data))
	}
	return strings.Join(texts, " ")
}

func TestFeed_GivesTheNewestOfEachThingInTheOrderOfItsChange(t *testing.T) {
	t.Parallel()
	f := newFeed()
	f.put("session", "a", 1)
	f.put("session", "b", 2)
	all, _ := f.since(0)
	if keys(all) != "1 2" {
		t.Errorf("got %s", keys(all))
	}
	f.put("session", "a", 3)
	f.put("attempt", "a", 4)
	for known, want := range map[uint64]string{0: "2 3 4", 1: "2 3 4", 2: "3 4", 3: "4", 4: "", 99: ""} {
		if got, _ := f.since(known); keys(got) != want {
			t.Errorf("since %d: got %s, want %s", known, keys(got), want)
		}
	}
	f.drop("session", "b")
	f.drop("session", "nobody")
	if got, _ := f.since(0); keys(got) != "3 4" {
		t.Errorf("after a drop: got %s", keys(got))
	}
}

func TestFeed_WakesThoseWhoWait(t *testing.T) {
	t.Parallel()
	f := newFeed()
	_, changed := f.since(0)
	select {
	case <-changed:
		t.Fatal("nothing changed")
	default:
	}
	f.put("session", "a", 1)
	<-changed
}

func TestFeed_IsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	f := newFeed()
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 200 {
				f.put("session", fmt.Sprint(w, i%7), i)
				f.drop("session", fmt.Sprint(w, (i+3)%7))
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	version := uint64(0)
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		newer, _ := f.since(version)
		for _, d := range newer {
			if d.version <= version {
				t.Fatalf("version %d after %d", d.version, version)
			}
			version = d.version
		}
	}
	if version == 0 || version > 800 {
		t.Errorf("read up to version %d", version)
	}
}
