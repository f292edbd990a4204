package outcome

import (
	"errors"
	"slices"
	"strconv"
	"time"
)

// givenUp is the key, in each shard, that lists the given-up deliveries by when they
// were. It is the name of no record, because a record's has a second colon.
const givenUp = "given-up"

// recordVersion is what this release writes. It reads this version alone, for
// there is no earlier one.
const recordVersion = 1

// State says how far a session's story has gone.
type State string

// The states of a record.
const (
	None      State = ""          // there is no record
	Following State = "following" // being polled; not final yet
	Sealed    State = "sealed"    // final, and sealed; the follower posts it
	Handed    State = "handed"    // webhook:deliver posts it
	Delivered State = "delivered" // a receiver acknowledged it; the result is erased
	GivenUp   State = "given_up"  // no receiver acknowledged it within the window
	// Redelivering: it was given up, and webhook:deliver posts it once more.
	Redelivering State = "redelivering"
	Cancelled    State = "cancelled" // the application stopped it; nothing is posted
)

var (
	asksPost  = []State{Sealed, Handed, Redelivering}
	mayRemove = []State{Delivered, GivenUp, Redelivering, Cancelled}
)

// AsksPost reports whether the event is still to be posted.
func (s State) AsksPost() bool { return slices.Contains(asksPost, s) }

// MayRemove reports whether the session may be removed at MarkSign: its event
// was delivered, or was given up once, or is not to be posted.
func (s State) MayRemove() bool { return slices.Contains(mayRemove, s) }

// Removal says how far the removal at MarkSign has gone.
type Removal string

// The states of a removal.
const (
	NotRemoved     Removal = ""        // not tried, or not answered yet
	RemovalHanded  Removal = "handed"  // session:remove does it
	Removed        Removal = "removed" // MarkSign said so
	RemovedUnknown Removal = "unknown" // MarkSign never said so, and it is tried no more
)

// ErrRecordVersion says that a record was written by a release that this one
// does not know.
var ErrRecordVersion = errors.New("the session's record has a version that this release does not know")

// Record is what Redis holds of a session, with nothing personal: the result
// stays sealed. Times are by Redis's clock, and zero if nothing happened yet.
type Record struct {
	State   State
	Removal Removal

	Type   string // of the event, for example "identification.completed"
	Reason string // of the end, for example "refused" or "deadline"

	Now         time.Time // when the record was read
	Started     time.Time // when a worker first ran the session's task
	Final       time.Time // when the outcome was sealed
	EventTime   time.Time // the event's timestamp, by the clock of the worker that saw the outcome
	Ended       time.Time // when it was delivered, given up or cancelled
	Redelivered time.Time // when an operator last had it delivered again
	RemoveBegun time.Time // when the first removal failed
	RemovedAt   time.Time // when the removal ended
	// Kept is until when the session stays at MarkSign for an operator to look at,
	// as the last try to remove it saw it; see KeptReason.
	Kept time.Time

	Polls    int // until the outcome was known, by the worker that saw it
	Attempts int // posts begun
	// AttemptsBefore are those of them that came before it was Redelivered.
	AttemptsBefore int
	Removals       int // DELETEs that were answered, or failed
	Refusals       int // DELETEs that MarkSign answered with an error body

	// Trouble is why MarkSign gave no usable answer to the last poll that it was so.
	Trouble string
	// Unusables counts the ok answers of MarkSign that could not be used, and
	// Unusable says what was wrong with the last of them.
	Unusables int
	Unusable  string

	Holder     string    // the worker that follows it
	ClaimUntil time.Time // until when a post may be under way
	LastError  string    // of the last post or DELETE that failed

	// Task is the payload of the task that delivers a given-up event again.
	Task []byte

	claimant   string
	sealedSize int64
	sealed     []byte // of a record that Claim returned; otherwise nil
}

// Change is what came of a call that was to change a record.
type Change struct {
	// Applied reports whether the record says now what was asked for. If it is
	// false, the record was left as it was, and says who was first.
	Applied bool
	// Record is the record afterwards; its State is None if there is none.
	Record Record
}

// HasSealed reports whether the sealed result is there.
func (r Record) HasSealed() bool { return r.sealedSize > 0 }

// RemovalLeft is for how long the session may not be removed yet; zero if it
// may, as far as the time goes.
func (r Record) RemovalLeft() time.Duration {
	return max(RemovalDelay-r.Now.Sub(r.Ended), r.Kept.Sub(r.Now), 0)
}

// IsKept reports whether the session stays at MarkSign for an operator to look at.
func (r Record) IsKept() bool { return r.Kept.After(r.Now) }

// DeliveryBegan is when the window began within which the event is posted.
func (r Record) DeliveryBegan() time.Time {
	if r.Redelivered.After(r.Final) {
		return r.Redelivered
	}
	return r.Final
}

// AttemptsSince counts the posts since DeliveryBegan.
func (r Record) AttemptsSince() int { return r.Attempts - r.AttemptsBefore }

// ClaimLeft is for how long a post by somebody else than claimant may still be
// under way; zero or less if none can be.
func (r Record) ClaimLeft(claimant string) time.Duration {
	if r.claimant == claimant || r.ClaimUntil.IsZero() {
		return 0
	}
	return r.ClaimUntil.Sub(r.Now)
}

// decode reads what a script on one record returns; see scripts/lib.lua.
func decode(reply any) (Change, error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 5 {
		return Change{}, errors.New("a script answered in another shape")
	}
	applied, ok1 := parts[0].(int64)
	now, ok2 := parts[1].(string)
	pairs, ok3 := parts[2].([]any)
	size, ok4 := parts[3].(int64)
	sealed, ok5 := parts[4].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return Change{}, errors.New("a script answered in another shape")
	}
	r := Record{Now: millis(now)}
	if len(pairs) > 0 {
		if err := r.fill(fieldsOf(pairs)); err != nil {
			return Change{}, err
		}
		r.sealedSize, r.sealed = size, []byte(sealed)
	}
	return Change{applied == 1, r}, nil
}

// fieldsOf reads a hash as a script answers it: names and values by turns.
func fieldsOf(pairs []any) map[string]string {
	fields := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		fields[name], _ = pairs[i+1].(string)
	}
	return fields
}

func (r *Record) fill(fields map[string]string) error {
	if fields["v"] != strconv.Itoa(recordVersion) {
		return ErrRecordVersion
	}
	r.State = State(fields["state"])
	r.Removal = Removal(fields["removal"])
	r.Type = fields["type"]
	r.Reason = fields["reason"]
	r.Started = millis(fields["started"])
	r.Final = millis(fields["final"])
	r.EventTime = millis(fields["stamp"])
	r.Ended = millis(fields["ended"])
	r.Redelivered = millis(fields["redelivered"])
	r.RemoveBegun = millis(fields["remove_begun"])
	r.RemovedAt = millis(fields["removed"])
	r.Kept = millis(fields["kept"])
	r.Trouble = fields["trouble"]
	r.Unusables = count(fields["unusables"])
	r.Unusable = fields["unusable"]
	r.Polls = count(fields["polls"])
	r.Attempts = count(fields["attempts"])
	r.AttemptsBefore = count(fields["attempts_before"])
	r.Removals = count(fields["removals"])
	r.Refusals = count(fields["refusals"])
	r.Holder = fields["holder"]
	r.ClaimUntil = millis(fields["claim"])
	r.LastError = fields["error"]
	r.Task = []byte(fields["task"])
	r.claimant = fields["claimant"]
	return nil
}

func millis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func count(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// IsOver reports whether the removal has ended: it is tried no more.
func (r Removal) IsOver() bool { return r == Removed || r == RemovedUnknown }
