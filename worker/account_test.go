package worker

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// crm is a second account in a world: another MarkSign account, with an
// application of its own.
type crm struct {
	sim      *marksim.Simulator
	receiver *receiver
	secret   webhook.Secret
}

const crmToken = "access-token-of-crm"

// withCRM makes the world's own account "shop", and adds "crm".
func (w *world) withCRM() (*crm, func(*Options)) {
	w.t.Helper()
	c := &crm{
		sim:      marksim.New(marksim.Options{AccessToken: crmToken, Seed: 2}),
		receiver: newReceiver(w.t), secret: webhook.NewSecret(),
	}
	c.receiver.secret = c.secret
	signer, err := webhook.NewSigner([]webhook.Secret{c.secret}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer, Transport: c.receiver})
	if err != nil {
		w.t.Fatal(err)
	}
	return c, func(o *Options) {
		o.Accounts[0].Name = "shop"
		o.Accounts = append(o.Accounts, Account{
			Name: "crm", Sender: sender, CallbackURL: "https://crm.example/callback",
			MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: crmToken, Transport: c.sim},
		})
	}
}

func of(account string) func(*tasks.Session) {
	return func(s *tasks.Session) { s.Account = account }
}

// start starts a session at crm's MarkSign and has it followed.
func (c *crm) start(w *world, token string, p marksim.Person) {
	c.sim.Add(token, marksim.SmartID, p)
	w.enqueue(token, of("crm"))
}

func (c *crm) removed(token string) bool {
	s, _ := c.sim.Session(token)
	return !s.RemovedAt.IsZero()
}

// TestAccounts_AreApart has the same token in two accounts: two sessions, at two
// MarkSigns, with two receivers, who verify each event with the secret of theirs.
func TestAccounts_AreApart(t *testing.T) {
	inWorld(t, func(w *world) {
		c, both := w.withCRM()
		w.start(both)
		w.session("a", confirming(2*time.Second), of("shop"))
		c.start(w, "a", marksim.Person{Outcome: marksim.Refuses, AfterMin: 3 * time.Second})
		w.await("both are removed", time.Minute, func() bool { return !w.seen("a").RemovedAt.IsZero() && c.removed("a") })
		shop, crm := w.receiver.of("a"), c.receiver.of("a")
		if len(shop) != 1 || len(crm) != 1 || shop[0].event.Type != webhook.Completed || crm[0].event.Type != webhook.Refused {
			t.Fatalf("shop got %d posts, crm %d", len(shop), len(crm))
		}
		if shop[0].id == crm[0].id {
			t.Errorf("both events have the webhook-id %s", shop[0].id)
		}
	})
}

func TestAccounts_OneThatIsNotKnownWaits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sim.Add("a", marksim.SmartID, confirming(0))
		p := w.start()
		w.enqueue("a", of("crm"))
		time.Sleep(10 * time.Second)
		if polls := w.seen("a").Polls; polls > 0 {
			t.Errorf("the session of an account that is not known was polled %d times", polls)
		}
		p.stop()
		w.start(func(o *Options) { o.Accounts[0].Name = "crm" })
		w.await("it is removed", 2*time.Minute, func() bool { return !w.seen("a").RemovedAt.IsZero() })
	})
}

// TestAccounts_SessionsThatNameNoneAreOfDefault, and of no other, for the token
// would otherwise stand for two sessions.
func TestAccounts_SessionsThatNameNoneAreOfDefault(t *testing.T) {
	inWorld(t, func(w *world) {
		reg := prometheus.NewRegistry()
		w.start(func(o *Options) { o.Accounts[0].Name, o.Metrics = "shop", reg })
		w.session("a", confirming(0))
		time.Sleep(10 * time.Second)
		if polls := w.seen("a").Polls; polls > 0 {
			t.Errorf("a session that names no account was polled %d times by the account shop", polls)
		}
		if !strings.Contains(w.logs.String(), "sessions wait for an account that this worker does not have") {
			t.Error("the log does not say that a session waits for its account")
		}
		if series(t, reg)["identwatch_unknown_account_runs_total"] == 0 {
			t.Error("the metrics do not tell of it")
		}
	})
}

// TestAccounts_ARejectedOnePausesAloneAndLosesNothing takes crm's access token
// away from 60 sessions. They wait at the cost of a poll every five seconds,
// shop goes on as ever, and a new token lets them go on at once.
func TestAccounts_ARejectedOnePausesAloneAndLosesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		const sessions = 60
		c, both := w.withCRM()
		p := w.start(both)
		token := func(i int) string { return fmt.Sprintf("crm-%03d", i) }
		for i := range sessions {
			c.start(w, token(i), confirming(30*time.Second))
		}
		time.Sleep(5 * time.Second)
		c.sim.SetFaults(marksim.Faults{RejectToken: true})
		time.Sleep(10 * time.Second)
		if got := p.Rejected(); !slices.Equal(got, []string{"crm"}) {
			t.Errorf("rejected accounts: %q, want crm", got)
		}
		polls := func() (n int) {
			for _, s := range c.sim.Sessions() {
				n += s.Polls
			}
			return n
		}
		before := polls()
		w.session("shop-1", confirming(5*time.Second), of("shop"))
		time.Sleep(30 * time.Second)
		if n := polls() - before; n < 4 || n > 8 {
			t.Errorf("%d polls in the half minute in which MarkSign rejected crm, want one each five seconds", n)
		}
		shop := w.seen("shop-1")
		if shop.RemovedAt.IsZero() || shop.MaxPollGap > 1200*time.Millisecond {
			t.Errorf("shop's session, meanwhile: %+v", shop)
		}

		c.sim.SetFaults()
		mended := time.Now()
		if err := p.SetAccessToken("crm", crmToken); err != nil {
			t.Fatal(err)
		}
		all := func() bool {
			for i := range sessions {
				if len(c.receiver.of(token(i))) == 0 {
					return false
				}
			}
			return true
		}
		w.await("every event is there", 2*time.Second, all)
		t.Logf("%d events %v after the new token", sessions, time.Since(mended))
		w.await("every session is removed", 10*time.Second, func() bool {
			for i := range sessions {
				if !c.removed(token(i)) {
					return false
				}
			}
			return true
		})
		for i := range sessions {
			if posts := c.receiver.of(token(i)); len(posts) != 1 || posts[0].event.Type != webhook.Completed {
				t.Errorf("%s: %d posts", token(i), len(posts))
			}
		}
		if got := p.Rejected(); len(got) != 0 {
			t.Errorf("rejected accounts in the end: %q", got)
		}
		if n := strings.Count(w.logs.String(), "MarkSign rejects the account's access token"); n != 1 {
			t.Errorf("%d log lines in 40 seconds of rejection, want one", n)
		}
	})
}

// TestAccounts_ARejectedOneResumesByItself has MarkSign take the old token again.
func TestAccounts_ARejectedOneResumesByItself(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		for i := range 20 {
			w.session(fmt.Sprint("a-", i), confirming(5*time.Second))
		}
		time.Sleep(time.Second)
		w.sim.SetFaults(marksim.Faults{RejectToken: true})
		time.Sleep(47 * time.Second)
		w.sim.SetFaults()
		took := w.await("all are delivered", 3*rejectedPause, func() bool {
			for i := range 20 {
				if len(w.receiver.of(fmt.Sprint("a-", i))) == 0 {
					return false
				}
			}
			return true
		})
		if took > 2*rejectedPause+time.Second { // each asks after one to two pauses
			t.Errorf("it took %v", took)
		}
		if len(p.Rejected()) != 0 || !strings.Contains(w.logs.String(), "accepts the account's access token again") {
			t.Errorf("rejected: %q", p.Rejected())
		}
	})
}

// TestAccounts_TheDeadlineHoldsForARejectedOne: nobody waits for ever.
func TestAccounts_TheDeadlineHoldsForARejectedOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.SessionTimeout = time.Minute })
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, RejectToken: true})
		for i := range 5 {
			w.session(fmt.Sprint("a-", i), confirming(0))
		}
		w.await("all have ended", 65*time.Second, func() bool {
			for i := range 5 {
				posts := w.receiver.of(fmt.Sprint("a-", i))
				if len(posts) == 0 {
					return false
				}
				if posts[0].event.Data.Error.Reason != webhook.ReasonUnavailable {
					t.Errorf("the event: %s", posts[0].body)
				}
			}
			return true
		})
	})
}

// TestAccounts_RemovalsOfARejectedOneWait has no session that would be polled:
// the removal itself finds out when MarkSign takes the account again.
func TestAccounts_RemovalsOfARejectedOneWait(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		w.session("a", confirming(2*time.Second))
		w.await("its event is there", 10*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
		w.sim.SetFaults(marksim.Faults{RejectToken: true})
		time.Sleep(time.Minute)
		if s := w.seen("a"); s.Removes < 3 || s.Removes > 3+60/5 || len(p.Rejected()) != 1 {
			t.Errorf("%d DELETEs in a minute of rejection; rejected: %q", s.Removes, p.Rejected())
		}
		if got := outcome.Removal(w.rdb.HGet(w.ctx, "identwatch:default:a", "removal").Val()); got != outcome.RemovalHanded {
			t.Errorf("the record says the removal is %q", got)
		}
		w.sim.SetFaults()
		w.await("it is removed", 3*rejectedPause, func() bool { return !w.seen("a").RemovedAt.IsZero() })
		time.Sleep(time.Second)
		if len(p.Rejected()) != 0 {
			t.Error("the account is still said to be rejected")
		}
	})
}

// TestAccounts_APanicKeepsNoAccountPaused has the one poll that tries a rejected
// account panic.
func TestAccounts_APanicKeepsNoAccountPaused(t *testing.T) {
	inWorld(t, func(w *world) {
		inner := w.markSign
		var panics atomic.Int32
		w.markSign = roundTripper(func(r *http.Request) (*http.Response, error) {
			if panics.CompareAndSwap(1, 0) {
				panic("planted")
			}
			return inner.RoundTrip(r)
		})
		p := w.start()
		w.sim.SetFaults(marksim.Faults{RejectToken: true})
		w.session("a", confirming(0))
		w.await("the account is rejected", 20*time.Second, func() bool { return len(p.Rejected()) == 1 })
		panics.Store(1)
		w.await("the poll panicked", 30*time.Second, func() bool { return panics.Load() == 0 })
		w.sim.SetFaults()
		w.awaitEnd("a", 30*time.Second)
		w.checkOneStory("a")
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSetAccessToken_RefusesWhatCannotBe(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		for _, test := range [][2]string{{"crm", "token"}, {"default", ""}, {"default", "  "}, {"default", "\xff"}} {
			if err := p.SetAccessToken(test[0], test[1]); err == nil || strings.Contains(err.Error(), "token-") {
				t.Errorf("%q: %v", test, err)
			}
		}
		w.session("a", confirming(0)) // with the token that it had
		w.awaitEnd("a", time.Minute)
	})
}

func TestNew_NamesTheAccountAtFault(t *testing.T) {
	t.Parallel()
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: func() *webhook.Signer {
		signer, err := webhook.NewSigner([]webhook.Secret{testSecret}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}()})
	if err != nil {
		t.Fatal(err)
	}
	good := Account{Name: "shop", Sender: sender, MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: "x"}}
	for want, accounts := range map[string][]Account{
		"Accounts is empty":                  nil,
		"Accounts[1]: Sender is required":    {good, {Name: "crm", MarkSign: good.MarkSign}},
		"Accounts[1]: marksign: AccessToken": {good, {Name: "crm", Sender: sender, MarkSign: MarkSign{BaseURL: "https://marksign.example"}}},
		`Accounts[1]: the name "shop" is`:    {good, good},
	} {
		if _, err := New(Options{Accounts: accounts}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}
