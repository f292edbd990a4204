package examples_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// A person who can be searched for in logs.
const (
	code    = "20101010001"
	surname = "IŠGALVOTOJI"
)

// world is a service with what is around it, for all receivers of a test.
type world struct {
	sim    *marksim.Simulator
	client *tasks.Client
}

func newWorld(t *testing.T, key webhook.SigningKey, secrets string) *world {
	t.Helper()
	redis := redistest.Start(t)
	w := &world{sim: marksim.New(marksim.Options{})}
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	var err error
	if w.client, err = tasks.NewClient(tasks.ClientConfig{RedisURL: redis.URL()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.client.Close() })
	out := new(output)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("identwatch said:\n%s", out)
		}
	})
	spawn(t, out, []string{
		"REDIS_URL=" + redis.URL(), "MARKSIGN_URL=" + server.URL, "MARKSIGN_ACCESS_TOKEN=any",
		"CALLBACK_ALLOW_HTTP=true", "CALLBACK_ALLOW_NETWORKS=127.0.0.0/8", "POLL_PACE=200ms",
		"WEBHOOK_SECRETS=" + secrets, "WEBHOOK_SIGNING_KEY=" + key.Encode(), "OUTCOME_KEYS=" + base64.StdEncoding.EncodeToString([]byte("thirty-two bytes of a test alone")),
		"LISTEN=127.0.0.1:0", "LOG_LEVEL=warn",
	}, filepath.Join(built, "identwatch"), "serve")
	return w
}

// sessions are tokens, with what a receiver should decide.
type sessions map[string]string

// begin starts sessions of five kinds of persons, who act within a second, and has them followed.
func (w *world) begin(t *testing.T, s *site, into sessions, count int) {
	t.Helper()
	for range count {
		person := marksim.Person{Name: "ŽYDRŪNĖ", Surname: surname, Code: code, Country: "LT", AfterMax: time.Second}
		decision := "not_identified"
		switch len(into) % 5 {
		case 0:
			decision = "identified"
		case 1:
			decision, person.PEPs = "review", []marksim.PEPRecord{{ID: 1, FullName: surname}}
		case 2:
			person.Outcome = marksim.Refuses
		case 3:
			person.Outcome = marksim.Expires
		default:
			person.Outcome = marksim.UnknownAccount
		}
		token := fmt.Sprintf("%s-%d", s.language.name, len(into))
		w.sim.Add(token, marksim.SmartID, person)
		if err := w.client.Enqueue(t.Context(), tasks.Session{
			Token: token, Method: tasks.SmartID, CallbackURL: s.url, Reference: "order-" + token,
			Checks: []tasks.Check{tasks.PEPs, tasks.Sanctions},
		}); err != nil {
			t.Fatal(err)
		}
		into[token] = decision
	}
}

// TestReceivers_LoseNothingToKills delivers twenty sessions to each receiver, which is killed among the first of them
// while its worker is not running, and whose worker is killed among the last.
func TestReceivers_LoseNothingToKills(t *testing.T) {
	earlier, later, key := webhook.NewSecret(), webhook.NewSecret(), webhook.NewSigningKey()
	w := newWorld(t, key, earlier.Encode()+","+later.Encode())
	each(t, func(t *testing.T, l language) {
		s := newSite(t, l, "WEBHOOK_SECRETS="+webhook.NewSecret().Encode()+", "+later.Encode())
		killReceiver := s.receive()
		all := sessions{}
		w.begin(t, s, all, 6)
		eventually(t, "three are stored", func() bool { return len(s.look().stored) >= 3 })
		killReceiver()
		stored := s.look()
		if len(stored.handled) != 0 {
			t.Fatal("handled without a worker")
		}
		w.begin(t, s, all, 2)
		<-time.After(1500 * time.Millisecond) // they are posted to nobody meanwhile
		s.receive()
		killWorker := s.work()
		w.begin(t, s, all, 12)
		eventually(t, "five are handled", func() bool { return len(s.look().handled) >= 5 })
		killWorker()
		s.work()
		eventually(t, "all are handled", func() bool { return len(s.look().handled) >= len(all) })

		got := s.look()
		if len(got.stored) != len(all) || len(got.decisions) != len(all) {
			t.Errorf("%d events and %d decisions, of %d sessions", len(got.stored), len(got.decisions), len(all))
		}
		for token, want := range all {
			if got.decisions[token] != want {
				t.Errorf("%s: decided %q, want %q", token, got.decisions[token], want)
			}
		}
		for id := range stored.stored {
			if !got.handled[id] {
				t.Errorf("%s was stored before the kill and is lost", id)
			}
			if r := newSender(t, nil, later).Send(t.Context(), s.url, id, event(t, "another")); r.Verdict != webhook.Delivered {
				t.Errorf("a repeat after a kill: %s", r.Detail)
			}
		}
		s.checkOutput(len(all), later.Encode())
		if again := s.look(); len(again.stored) != len(all) || len(again.decisions) != len(all) {
			t.Errorf("repeats were stored: %d events, %d decisions", len(again.stored), len(again.decisions))
		}
	})
}

// checkOutput looks for lines of events that were handled, at most one of each, and for what must not be there.
func (s *site) checkOutput(most int, secret string) {
	s.t.Helper()
	text, count := s.out.String(), map[string]int{}
	for line := range strings.Lines(text) {
		if _, id, found := strings.Cut(line, "handled "); found {
			count[strings.TrimSpace(id)]++
		}
	}
	for id, n := range count {
		if n > 1 {
			s.t.Errorf("%s was handled %d times", id, n)
		}
	}
	if len(count) > most || len(count) < most-1 { // a worker may be killed before it says so
		s.t.Errorf("it says that %d were handled, of %d", len(count), most)
	}
	for _, unwanted := range []string{code, "GALVOTOJI", "ŽYDR", strings.TrimPrefix(secret, "whsec_"), "cannot"} {
		if strings.Contains(text, unwanted) {
			s.t.Errorf("it wrote %q", unwanted)
		}
	}
}

func event(t *testing.T, token string) []byte {
	t.Helper()
	body, err := webhook.Event{
		Type: webhook.Completed, Timestamp: time.Now(),
		Data: webhook.Data{
			Token: token, Reference: "order-" + token, Method: "smart_id",
			Person: &webhook.Person{Name: "ŽYDRŪNĖ", Surname: surname, Code: code, Country: "LT"},
			PEPs:   &webhook.Check{Result: webhook.Clear}, Sanctions: &webhook.Check{Result: webhook.Unknown},
		},
	}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReceivers_HandleARepeatOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		secret := webhook.NewSecret()
		s, sender, body := newSite(t, l, "WEBHOOK_SECRETS="+secret.Encode()), newSender(t, nil, secret), event(t, "tok")
		s.receive()
		post := func(id string, body []byte) {
			if r := sender.Send(context.Background(), s.url, id, body); r.Verdict != webhook.Delivered || r.Status != http.StatusNoContent {
				t.Errorf("%s: %s", id, r.Detail)
			}
		}
		var posts sync.WaitGroup
		for range 10 {
			posts.Go(func() { post("evt_1", body) })
		}
		posts.Wait()
		post("../evt/2", event(t, "other"))
		post("evt_3", []byte(`{"type":"identification.invented","timestamp":"2026-11-21T20:51:03.123Z","data":{"token":"later","method":"smart_id"}}`))
		if got := s.look(); len(got.stored) != 3 || len(got.handled) != 0 {
			t.Errorf("it has %v", got)
		}
		s.work()
		eventually(t, "all are handled", func() bool { return len(s.look().handled) == 3 })
		post("evt_1", body)
		post("evt_4", event(t, "last"))
		eventually(t, "the last is handled", func() bool { return len(s.look().handled) == 4 })
		if got := s.look().decisions; len(got) != 3 || got["tok"] != "review" || got["later"] != "" {
			t.Errorf("decided %v", got)
		}
		s.checkOutput(4, secret.Encode())
	})
}

func TestReceivers_RefuseWhatIsNotForThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t, "tok")
		s := newSite(t, l, "WEBHOOK_SECRETS="+secret.Encode())
		s.receive()
		now := time.Now()
		signed := func(secret webhook.Secret, at time.Time, body []byte, without ...string) http.Header {
			signer, err := webhook.NewSigner([]webhook.Secret{secret}, nil)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			signer.Sign(h, "evt_1", at, body)
			for _, name := range without {
				h.Del(name)
			}
			return h
		}
		large := append(bytes.Clone(body), bytes.Repeat([]byte(" "), webhook.MaxBody)...)
		for name, r := range map[string]struct {
			header http.Header
			body   []byte
			want   int
		}{
			"tampered body":     {signed(secret, now, body), bytes.Replace(body, []byte(code), []byte("20101010002"), 1), 401},
			"no body":           {signed(secret, now, body), nil, 401},
			"another secret":    {signed(webhook.NewSecret(), now, body), body, 401},
			"six minutes old":   {signed(secret, now.Add(-6*time.Minute), body), body, 401},
			"six minutes ahead": {signed(secret, now.Add(6*time.Minute), body), body, 401},
			"no id":             {signed(secret, now, body, webhook.HeaderID), body, 401},
			"no timestamp":      {signed(secret, now, body, webhook.HeaderTimestamp), body, 401},
			"no signature":      {signed(secret, now, body, webhook.HeaderSignature), body, 401},
			"too large":         {signed(secret, now, large), large, 413},
		} {
			if status, _ := request(t, http.MethodPost, s.url, r.header, r.body); status != r.want {
				t.Errorf("%s: HTTP %d, want %d", name, status, r.want)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			if status, allow := request(t, method, s.url, signed(secret, now, body), body); status != 405 || allow != http.MethodPost {
				t.Errorf("%s: HTTP %d, Allow %q", method, status, allow)
			}
		}
		if got := s.look(); len(got.stored) != 0 {
			t.Errorf("it stored %v", got.stored)
		}
		s.checkOutput(0, secret.Encode())
		if status, _ := request(t, http.MethodPost, s.url, signed(secret, now.Add(-4*time.Minute), body), body); status != 204 {
			t.Errorf("four minutes old: HTTP %d", status)
		}
	})
}

// TestReceivers_ThatCannotStoreAskForAnotherAttempt puts something in the way of the inbox.
func TestReceivers_ThatCannotStoreAskForAnotherAttempt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		secret := webhook.NewSecret()
		s, sender := newSite(t, l, "WEBHOOK_SECRETS="+secret.Encode()), newSender(t, nil, secret)
		s.receive()
		if r := sender.Send(t.Context(), s.url, "evt_1", event(t, "tok")); r.Verdict != webhook.Delivered {
			t.Fatal(r.Detail)
		}
		files, _ := filepath.Glob(s.inbox + "*")
		for _, file := range files {
			if err := os.Rename(file, file+".away"); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(s.inbox, []byte(strings.Repeat("neither a directory nor a database", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := sender.Send(t.Context(), s.url, "evt_2", event(t, "tok")); r.Status != http.StatusInternalServerError {
			t.Errorf("got %s", r.Detail)
		}
		if out := s.out.String(); strings.Contains(out, code) || strings.Contains(out, "GALVOTOJI") {
			t.Error("it wrote of the person")
		}
	})
}

// TestReceivers_WithoutASecretLetNobodyIn: they end, or refuse everything.
func TestReceivers_WithoutASecretLetNobodyIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		for _, secrets := range []string{"", "whsec_", webhook.NewSecret().Encode() + ","} {
			s := newSite(t, l, "WEBHOOK_SECRETS="+secrets)
			kill := spawn(t, s.out, s.env, s.commands.receive...)
			sender := newSender(t, nil, webhook.NewSecret())
			<-time.After(time.Second)
			if r := sender.Send(t.Context(), s.url, "evt_1", event(t, "tok")); r.Verdict == webhook.Delivered {
				t.Errorf("with %q: %s", secrets, r.Detail)
			}
			kill()
		}
	})
}

func TestGoReceiver_VerifiesWithPublicKeysAlone(t *testing.T) {
	t.Parallel()
	key, other := webhook.NewSigningKey(), webhook.NewSigningKey()
	s := newSite(t, languages[0], "WEBHOOK_PUBLIC_KEYS="+webhook.NewSigningKey().Public().String()+","+key.Public().String())
	s.receive()
	if r := newSender(t, &key).Send(t.Context(), s.url, "evt_1", event(t, "tok")); r.Verdict != webhook.Delivered {
		t.Error(r.Detail)
	}
	if r := newSender(t, &other).Send(t.Context(), s.url, "evt_2", event(t, "tok")); r.Status != http.StatusUnauthorized {
		t.Errorf("another key: %s", r.Detail)
	}
}
