package account

import (
	"log/slog"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
)

// trouble is what an account's polls say about MarkSign and the way to it. The zero
// value is none. It is safe for concurrent use.
type trouble struct {
	mu     sync.Mutex
	since  time.Time // zero: there is none
	warned time.Time // when it, or an earlier one, was last logged
	told   bool      // this one was logged
	polls  int       // that failed since it began
}

// Saw logs that MarkSign's trouble begins, again each minute while it lasts, and
// that it is over.
func (a *Account) Saw(answer marksign.Answer) { a.trouble.saw(answer, a.log) }

// saw logs that trouble begins, again each alertPause while it lasts, and that it
// is over. A rejected access token is reported by the account's circuit.
func (t *trouble) saw(a marksign.Answer, log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case a.Verdict == marksign.Rejected:
		return
	case a.Verdict != marksign.Temporary:
		if t.told {
			log.Info("MarkSign answers again", "after", seconds(t.since), "failed_polls", t.polls)
		}
		t.since, t.told, t.polls = time.Time{}, false, 0
		return
	case t.since.IsZero():
		t.since = time.Now()
	}
	t.polls++
	if t.warned.IsZero() || time.Since(t.warned) >= alertPause {
		t.warned, t.told = time.Now(), true
		log.Warn("MarkSign gives no usable answer; polls are repeated", "code", a.Code, "detail", a.Detail,
			"for", seconds(t.since), "failed_polls", t.polls)
	}
}

// seconds is the time since then, to the millisecond.
func seconds(since time.Time) float64 { return time.Since(since).Round(time.Millisecond).Seconds() }
