package marksim

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// The methods of identification, as Add and Snapshot name them.
const (
	SmartID  = "smart_id"
	MobileID = "mobile_id"
)

// Options are those of a Simulator. The zero value serves.
type Options struct {
	// AccessToken is what every call must carry until SetAccessToken; "" accepts
	// any, and none.
	AccessToken string

	// Seed decides tokens, control codes, faults, and when persons act. 0 is
	// another one each time.
	Seed uint64

	// Dialect is how MarkSign answers where that is not documented.
	Dialect Dialect

	// OnEvent is called for each start, poll and removal, before the answer goes
	// out, and by concurrent calls concurrently. nil is none.
	OnEvent func(Event)
}

// Simulator is a simulated MarkSign. It is safe for concurrent use. It keeps
// every session it was given, removed ones too, to be asked about.
type Simulator struct {
	opts   Options
	access atomic.Value // the access token
	faults atomic.Pointer[[]Faults]
	starts atomic.Uint64 // calls to start
	strays atomic.Uint64 // other calls, for sessions that are not known

	mu       sync.RWMutex
	sessions map[string]*session
	order    []*session // as they were started
}

// New makes a Simulator without faults and sessions.
func New(opts Options) *Simulator {
	for opts.Seed == 0 {
		opts.Seed = rand.Uint64() //nolint:gosec // simulated chance, no secret
	}
	s := &Simulator{opts: opts, sessions: map[string]*session{}}
	s.access.Store(opts.AccessToken)
	return s
}

// SetAccessToken has every later call carry another access token: one that carries the
// old one is refused.
func (s *Simulator) SetAccessToken(token string) { s.access.Store(token) }

// Add starts a session under a token of the caller's, as if the application had
// asked for both checks. The method is SmartID or MobileID. It panics on another,
// and on a token that is in use.
func (s *Simulator) Add(token, method string, p Person) {
	if method != SmartID && method != MobileID {
		panic("marksim: Add with unknown method " + method)
	}
	if !s.add(&session{token: token, method: method, person: p, askedPEPs: true, askedSanctions: true}) {
		panic("marksim: Add with a token that is in use")
	}
}

// add starts a session now, unless its token is in use.
func (s *Simulator) add(sess *session) bool {
	dice := s.dice(0, "session", sess.token)
	sess.controlCode = controlCode(dice)
	sess.begin(time.Now(), dice)

	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.sessions[sess.token]; ok {
		return false
	}
	s.sessions[sess.token] = sess
	s.order = append(s.order, sess)
	return true
}

// find returns nil where there is no such session.
func (s *Simulator) find(token string) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[token]
}

// SetFaults makes every later call meet these faults; none ends them. Each call
// meets the first that strikes.
func (s *Simulator) SetFaults(faults ...Faults) {
	if len(faults) == 0 {
		s.faults.Store(nil)
		return
	}
	own := append([]Faults(nil), faults...)
	s.faults.Store(&own)
}

// Session tells how a session stands, removed or not.
func (s *Simulator) Session(token string) (Snapshot, bool) {
	sess := s.find(token)
	if sess == nil {
		return Snapshot{}, false
	}
	return sess.snapshot(), true
}

// Sessions tells how all sessions stand, in the order of their start.
func (s *Simulator) Sessions() []Snapshot {
	s.mu.RLock()
	order := s.order[:len(s.order):len(s.order)]
	s.mu.RUnlock()
	snapshots := make([]Snapshot, 0, len(order))
	for _, sess := range order {
		snapshots = append(snapshots, sess.snapshot())
	}
	return snapshots
}

// Confirm makes the person confirm now. It reports whether it could: not a
// session that is unknown, gone or has its outcome.
func (s *Simulator) Confirm(token string) bool { return s.decide(token, Confirms) }

// Refuse makes the person refuse now, as Confirm.
func (s *Simulator) Refuse(token string) bool { return s.decide(token, Refuses) }

// Expire makes the session's time run out now, as Confirm.
func (s *Simulator) Expire(token string) bool { return s.decide(token, Expires) }

func (s *Simulator) decide(token string, outcome Outcome) bool {
	sess := s.find(token)
	return sess != nil && sess.decide(time.Now(), outcome, s.opts.Dialect)
}

// Forget makes a session vanish, as if MarkSign had lost it. It reports whether
// the session was there.
func (s *Simulator) Forget(token string) bool {
	sess := s.find(token)
	return sess != nil && sess.forget(time.Now(), s.opts.Dialect)
}

// dice are random numbers that depend on the seed, n and what they are for, and
// so not on the order of concurrent calls.
func (s *Simulator) dice(n uint64, what ...string) *rand.Rand {
	h := fnv.New64a()
	for _, w := range what {
		_, _ = h.Write(append([]byte(w), 0))
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, n))
	return rand.New(rand.NewPCG(s.opts.Seed, h.Sum64())) //nolint:gosec // simulated chance, no secret
}
