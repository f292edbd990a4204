package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Stage is one demonstration. Its methods are safe for concurrent use, but for Close.
type Stage struct {
	stack    *stack
	board    *board
	app      *application
	sessions *admin.Sessions
	ended    context.Context //nolint:containedctx // the demonstration's own
}

// Open opens everything on free ports of the loopback address, with keys of its own.
// Sessions are followed once Run is called. The demonstration ends with ctx, and is
// then to be closed.
func Open(ctx context.Context, log *slog.Logger) (*Stage, error) {
	b := newBoard()
	stack, err := openStack(ctx, b, log)
	if err != nil {
		stack.close(ctx)
		return nil, err
	}
	app := &application{markSign: stack.markSignURL(), accessToken: stack.accessToken, tasks: stack.tasks}
	return &Stage{stack: stack, board: b, app: app, sessions: admin.New(stack.client, session.Shards{}), ended: ctx}, nil
}

// Run follows sessions until ctx ends. Any other end is an error.
func (s *Stage) Run(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	go s.followPlans(working)
	return s.stack.run(working)
}

// Close gives back what Open took, once Run has returned.
func (s *Stage) Close(ctx context.Context) { s.stack.close(ctx) }

// MaxSessions bounds what the embedded Redis, and a page, are asked to hold.
const MaxSessions = 1000

// Why a Stage does not do what it is asked.
var (
	ErrFull      = fmt.Errorf("there are %d sessions already: end dev, and start it again", MaxSessions)
	ErrDecided   = errors.New("the session has its outcome already, or is not known")
	ErrNoAttempt = admin.ErrNoAttempt
)

// Watch calls the function for each session as it stands, with Polled, and then
// for each change. The calls come one at a time and in order; they must return
// soon and not call the Stage. There is one watcher.
func (s *Stage) Watch(watch func(Change)) {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	for _, session := range s.board.sessions {
		watch(Change{Step: Polled, At: time.Now(), Session: *session})
	}
	s.board.watch = watch
}

// Start starts a session at the simulated MarkSign and has it followed. It
// returns ErrFull if there are MaxSessions.
func (s *Stage) Start(ctx context.Context, p Part) (Session, error) {
	if len(s.board.all()) >= MaxSessions {
		return Session{}, ErrFull
	}
	begun, err := s.app.start(ctx, p)
	if err != nil {
		return Session{}, err
	}
	session := s.board.started(p, begun)
	return session, s.app.enqueue(ctx, session)
}

// Decision is what somebody who looks on has a person do.
type Decision string

// The decisions.
const (
	Confirm  Decision = "confirm"
	Refuse   Decision = "refuse"
	WalkAway Decision = "walk_away" // the session's time runs out, at once
)

var decisions = map[Decision]struct {
	told string
	do   func(*marksim.Simulator, string) bool
}{
	Confirm:  {"confirmed", (*marksim.Simulator).Confirm},
	Refuse:   {"refused", (*marksim.Simulator).Refuse},
	WalkAway: {"walked away, and the session's time ran out", (*marksim.Simulator).Expire},
}

// Valid reports whether it is one of the decisions.
func (d Decision) Valid() bool { _, ok := decisions[d]; return ok }

// Decide has the session's person act now. It returns ErrDecided if there is
// nothing left to decide. The decision is a valid one.
func (s *Stage) Decide(token string, d Decision) error {
	if !decisions[d].do(s.stack.simulator, token) {
		return ErrDecided
	}
	s.board.decided(token, d)
	return nil
}

// PostNow has an event that waits for its next attempt posted at once. It
// returns ErrNoAttempt if none waits.
func (s *Stage) PostNow(ctx context.Context, token string) error {
	name, err := session.NewName(session.DefaultAccount, token)
	if err != nil {
		return ErrNoAttempt
	}
	return s.sessions.PostNow(ctx, name)
}

// Sessions are all sessions as they stand, in the order of their start.
func (s *Stage) Sessions() []Session { return s.board.all() }

// Take returns the changes since it was last called, in their order, without those
// of Polled.
func (s *Stage) Take() []Change { return s.board.take() }

// Removed counts those of the sessions that were removed.
func (s *Stage) Removed(tokens []string) int { return s.board.removed(tokens) }

// Addresses are where the parts of a demonstration are, and what they ask for.
type Addresses struct {
	MarkSign, AccessToken string // the simulator's base URL, and the token that it takes
	Receiver              string // URL
	Redis                 string // redis://, of the embedded one
	APIKey                string // of the HTTP API
}

// Addresses are those of the demonstration.
func (s *Stage) Addresses() Addresses {
	return Addresses{
		MarkSign: s.stack.markSignURL(), AccessToken: s.stack.accessToken, Receiver: s.stack.receiverURL(),
		Redis: s.stack.redisURL(), APIKey: s.stack.apiKey,
	}
}

// CloseToCallbacks keeps callbacks from an address that the demonstration listens on.
func (s *Stage) CloseToCallbacks(addr string) { s.stack.shut.Listen(addr) }

// Simulator is the simulated MarkSign.
func (s *Stage) Simulator() *marksim.Simulator { return s.stack.simulator }

// Receiver is where events are posted to.
func (s *Stage) Receiver() *receiver.Receiver { return s.stack.receiver }

// Verifier has the keys that events are verified with.
func (s *Stage) Verifier() webhook.Verifier { return s.stack.verifier }

// Redis is the embedded one.
func (s *Stage) Redis() redis.UniversalClient { return s.stack.client }

// Metrics are those of the service that runs.
func (s *Stage) Metrics() *prometheus.Registry { return s.stack.metrics }

// API are the options of the HTTP API of the service that runs. Its one account
// has one key, which the terminal tells.
func (s *Stage) API() api.Options {
	return api.Options{Redis: s.stack.client, DeliveryTimeout: deliveryTimeout, Accounts: []api.Account{{
		Name: tasks.DefaultAccount, Keys: [][32]byte{api.HashKey(s.stack.apiKey)},
		CallbackURL: s.stack.callbackURL(), Sender: s.stack.sender,
	}}}
}

// Ended is closed when the demonstration ends.
func (s *Stage) Ended() <-chan struct{} { return s.ended.Done() }

// lookEvery is how often undelivered events are looked after.
const lookEvery = 500 * time.Millisecond

// followPlans notes, until ctx ends, when events that were not delivered are
// posted again.
func (s *Stage) followPlans(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, session := range s.board.all() {
			if session.FinalAt.IsZero() || session.Delivered || session.GivenUp {
				continue
			}
			s.plan(ctx, session.Token)
		}
	}
}

// plan notes when the event of a session is posted again.
func (s *Stage) plan(ctx context.Context, token string) {
	name, err := session.NewName(session.DefaultAccount, token)
	if err != nil {
		return
	}
	if status, err := s.sessions.Status(ctx, name); err == nil {
		s.board.planned(status)
	}
}
