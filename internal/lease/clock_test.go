package lease

import (
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// at puts the due time of a waiting task.
func (f fixture) at(set, id string, due time.Time) {
	f.t.Helper()
	if err := f.rdb.ZAdd(f.t.Context(), f.key(set), redis.Z{Score: float64(due.Unix()), Member: id}).Err(); err != nil {
		f.t.Fatal(err)
	}
}

// in is when a task of a set is due.
func (f fixture) in(set, id string) time.Duration {
	f.t.Helper()
	score, err := f.rdb.ZScore(f.t.Context(), f.key(set), id).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	return time.Until(time.Unix(int64(score), 0))
}

func TestBringBack_MakesDueWhatWaitsLongerThanAnybodyAsks(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		const longest = 5 * time.Minute
		f.at("retry", "too late", time.Now().Add(time.Hour))
		f.at("retry", "clocks apart", time.Now().Add(longest+50*time.Second))
		f.at("retry", "in time", time.Now().Add(time.Minute))
		f.at("scheduled", "too late", time.Now().Add(time.Hour))
		back, err := f.BringBack(t.Context(), longest, time.Second, false)
		if err != nil || back != 1 {
			t.Errorf("brought %d back, %v", back, err)
		}
		if in := f.in("retry", "too late"); in > 3*time.Second {
			t.Errorf("the late one is due in %v", in)
		}
		if in := f.in("retry", "clocks apart"); in < longest {
			t.Errorf("one that clocks apart explain is due in %v", in)
		}
		if in := f.in("retry", "in time"); in < 50*time.Second {
			t.Errorf("one in time is due in %v", in)
		}
		if in := f.in("scheduled", "too late"); in < 50*time.Minute {
			t.Errorf("one that somebody scheduled is due in %v", in)
		}
		if back, err = f.BringBack(t.Context(), longest, time.Minute, true); err != nil || back != 1 {
			t.Errorf("brought %d back of the scheduled, %v", back, err)
		}
	})
}

func TestBringBack_SpreadsManyAndTakesABatchAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		for i := range batch + 10 {
			f.at("retry", strconv.Itoa(i), time.Now().Add(time.Hour))
		}
		for _, want := range []int{batch, 10, 0} {
			if back, err := f.BringBack(t.Context(), time.Minute, 30*time.Second, false); err != nil || back != want {
				t.Fatalf("brought %d back, %v, want %d", back, err, want)
			}
		}
		soon, err := f.rdb.ZCount(t.Context(), f.key("retry"), "-inf", strconv.FormatInt(time.Now().Add(15*time.Second).Unix(), 10)).Result()
		if err != nil || soon < batch/4 || soon > 3*batch/4 {
			t.Errorf("%d of %d are due in the first half of the spread, %v", soon, batch+10, err)
		}
	})
}

func TestRenew_BringsBackWhatAClockLeftInTheFuture(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.at("retry", "a", time.Now().Add(time.Hour))
		f.at("retry", "b", time.Now().Add(time.Minute))
		statuses, err := f.Renew(t.Context(), []string{"a", "b"}, time.Now().Add(10*time.Second))
		if err != nil || statuses[0] != Renewed || statuses[1] != Renewed {
			t.Fatal(statuses, err)
		}
		if in := f.in("retry", "a"); in > 11*time.Second {
			t.Errorf("the one that is far in the future is due in %v", in)
		}
		if in := f.in("retry", "b"); in < 50*time.Second {
			t.Errorf("the other is due in %v", in)
		}
	})
}

func TestSweep_ALeaseFarInTheFutureBeginsAgain(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.rdb.RPush(ctx, f.key("active"), "a")
		f.at("lease", "a", time.Now().Add(time.Hour))
		if back, err := f.Sweep(ctx); err != nil || back != 0 {
			t.Fatalf("put %d back, %v", back, err)
		}
		if in := f.in("lease", "a"); in > asynqLease+time.Second || in < asynqLease-5*time.Second {
			t.Errorf("asynq's lease ends in %v", in)
		}
	})
}
