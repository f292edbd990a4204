package worker

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

const (
	rightful = "https://rightful.example/hook"
	thief    = "https://thief.example/hook"
)

// hostsSeen are the hosts that events were posted to.
type hostsSeen struct {
	mu    sync.Mutex
	hosts []string
}

// watch has the receiver note every host, and answer as answer does.
func (w *world) watch(answer answerFunc) *hostsSeen {
	seen := new(hostsSeen)
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	w.receiver.answer = func(r *http.Request, n int) (int, time.Duration, http.Header) {
		seen.mu.Lock()
		seen.hosts = append(seen.hosts, r.URL.Host)
		seen.mu.Unlock()
		return answer(r, n)
	}
	return seen
}

func (s *hostsSeen) of(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.hosts {
		if h == host {
			n++
		}
	}
	return n
}

func acknowledging(*http.Request, int) (int, time.Duration, http.Header) {
	return http.StatusNoContent, 0, nil
}

// rewrite is what somebody does who can write to Redis: the task of a session is
// taken away, and put back under its id with other words in its payload.
func (w *world) rewrite(queue, id string, change map[string]any) {
	w.t.Helper()
	info, err := w.tasks.GetTaskInfo(queue, id)
	if err != nil {
		w.t.Fatal(err)
	}
	var payload map[string]any
	if err := json.Unmarshal(info.Payload, &payload); err != nil {
		w.t.Fatal(err)
	}
	for name, value := range change {
		payload[name] = value
	}
	data, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.tasks.DeleteTask(queue, id); err != nil {
		w.t.Fatal(err)
	}
	w.plant(info.Type, queue, id, data)
}

// plant enqueues a task by hand.
func (w *world) plant(typ, queue, id string, payload []byte) {
	w.t.Helper()
	task := asynq.NewTask(typ, payload, asynq.Queue(queue), asynq.TaskID(id), asynq.MaxRetry(1<<30), asynq.Retention(time.Hour))
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task); err != nil {
		w.t.Fatal(err)
	}
}

// handed brings a session with a callback of its own to webhook:deliver.
func (w *world) handed(token string) {
	w.t.Helper()
	w.session(token, confirming(0), func(s *tasks.Session) { s.CallbackURL = rightful })
	w.await("the hand-over", time.Minute, func() bool { return w.record(token).State == outcome.Handed })
}

func TestTrust_ADeliverTaskDoesNotSayWhereASealedResultGoes(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(failing(1, 500))
		p := w.start()
		tokens := []string{"a", "b", "c"}
		for _, token := range tokens {
			w.handed(token)
		}
		p.stop()
		for _, token := range tokens {
			w.rewrite(queue.Deliver, "default:"+token, map[string]any{"callback_url": thief, "checks": []string{}, "reference": "stolen"})
		}
		w.start()
		for _, token := range tokens {
			w.awaitTask(queue.Deliver, token, 5*time.Minute)
			if last := w.checkOneStory(token); last.event.Data.Reference != "order-"+token {
				t.Errorf("%s: the reference is %q", token, last.event.Data.Reference)
			}
		}
		if stolen, right := seen.of("thief.example"), seen.of("rightful.example"); stolen != 0 || right != 2*len(tokens) {
			t.Errorf("%d posts to the thief, %d to the receiver", stolen, right)
		}
	})
}

// A worker dies while it posts, and the follow task is changed before another
// takes the session over.
func TestTrust_AFollowTaskDoesNotSayWhereASealedResultGoes(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return http.StatusNoContent, 10 * time.Second, nil
			}
			return http.StatusNoContent, 0, nil
		})
		p := w.start()
		w.session("a", confirming(0), func(s *tasks.Session) { s.CallbackURL = rightful })
		w.await("the first post", time.Minute, func() bool { return seen.of("rightful.example") == 1 })
		p.cut()
		w.rewrite(queue.Follow, "default:a", map[string]any{"callback_url": thief})
		w.start()
		w.awaitEnd("a", time.Minute)
		if stolen, right := seen.of("thief.example"), seen.of("rightful.example"); stolen != 0 || right != 2 {
			t.Errorf("%d posts to the thief, %d to the receiver", stolen, right)
		}
	})
}

func TestTrust_ARecordDoesNotSayWhereAResultIsDeliveredAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.giveUp("a", func(s *tasks.Session) { s.CallbackURL = rightful })
		seen := w.watch(acknowledging)
		changed := strings.Replace(string(w.record("a").Task), rightful, thief, 1)
		if err := w.rdb.HSet(w.ctx, "identwatch:default:a", "task", changed).Err(); err != nil {
			t.Fatal(err)
		}
		if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
			t.Fatal(err)
		}
		w.awaitTask(queue.Deliver, "a", time.Minute)
		if stolen, right := seen.of("thief.example"), seen.of("rightful.example"); stolen != 0 || right != 1 {
			t.Errorf("%d posts to the thief, %d to the receiver", stolen, right)
		}
	})
}

// The record of one session holds the task of another.
func TestTrust_ARecordRedeliversNoOtherSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.giveUp("a")
		w.giveUp("b")
		if err := w.rdb.HSet(w.ctx, "identwatch:default:a", "task", w.record("b").Task).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin().FindGivenUp(w.ctx, named("a")); !admin.IsRefusal(err) {
			t.Errorf("found it, error %v", err)
		}
	})
}

func TestTrust_APayloadBelongsToOneTask(t *testing.T) {
	for queue, typ := range map[string]string{
		queue.Follow: queue.TypeFollow, queue.Deliver: queue.TypeDeliver, queue.Remove: queue.TypeRemove,
	} {
		t.Run(queue, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.sim.Add("a", marksim.SmartID, confirming(0))
				payload := []byte(`{"v":1,"token":"a","method":"smart_id","account":"default","retention_s":3600}`)
				w.plant(typ, queue, "default:b", payload)
				w.start()
				w.await("the end of the task", time.Minute, func() bool {
					info, err := w.tasks.GetTaskInfo(queue, "default:b")
					return err == nil && info.State == asynq.TaskStateArchived && strings.Contains(info.LastErr, "another session")
				})
				if w.record("a").State != outcome.None || w.seen("a").Polls != 0 || w.seen("a").Removes != 0 {
					t.Errorf("something came of it: %+v, %+v", w.record("a"), w.seen("a"))
				}
				if !strings.Contains(w.logs.String(), `"level":"ERROR"`) {
					t.Error("nothing is logged as an error")
				}
			})
		})
	}
}

// A result whose seal is spoiled is not made again as an outcome that the record
// was changed to.
func TestTrust_NoCompletedEventWithoutAPerson(t *testing.T) {
	inWorld(t, func(w *world) {
		w.watch(failing(1, 500))
		p := w.start()
		w.handed("a")
		p.stop()
		w.rdb.Del(w.ctx, "identwatch:default:a:sealed")
		w.rdb.HSet(w.ctx, "identwatch:default:a", "type", string(webhook.Completed), "reason", webhook.ReasonDeadline)
		w.start()
		w.await("another try", 5*time.Minute, func() bool { return w.record("a").Attempts > 1 })
		time.Sleep(time.Minute)
		for _, p := range w.receiver.of("a") {
			if p.event.Type == webhook.Completed && p.event.Data.Person == nil {
				t.Error("a completed event without a person was posted")
			}
		}
	})
}

// sealOld makes what a release sealed that sealed the event alone.
func (w *world) sealOld(token string, body []byte) {
	w.t.Helper()
	key, record := []byte("0123456789abcdef0123456789abcdef"), "identwatch:default:"+token
	block, err := aes.NewCipher(key)
	if err != nil {
		w.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		w.t.Fatal(err)
	}
	id := sha256.Sum256(slices.Concat([]byte("identwatch outcome key id\x00"), key))
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	sealed := slices.Concat([]byte{1}, id[:8], nonce, aead.Seal(nil, nonce, body, []byte(record)))
	if err := w.rdb.Set(w.ctx, record+":sealed", sealed, time.Hour).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func TestTrust_AnOldSealIsPostedToTheConfiguredCallback(t *testing.T) {
	inWorld(t, func(w *world) {
		w.watch(failing(1, 500))
		p := w.start()
		w.session("a", confirming(0))
		w.await("the hand-over", time.Minute, func() bool { return w.record("a").State == outcome.Handed })
		p.stop()
		w.sealOld("a", []byte(w.receiver.of("a")[0].body))
		seen := w.watch(acknowledging)
		w.start()
		w.awaitTask(queue.Deliver, "a", 5*time.Minute)
		w.checkOneStory("a")
		if seen.of("app.example") != 1 {
			t.Errorf("posted to %v", seen.hosts)
		}
	})
}

// signing has the world's application sign, and returns what its workers need.
func (w *world) signing(key tasks.PayloadKey) func(*Options) {
	w.t.Helper()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: w.rdb, PayloadKey: key})
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = client
	return func(o *Options) { o.Accounts[0].TaskKeys = []tasks.PayloadKey{key} }
}

// waitsUnsigned waits until the session's follow task is refused, and fails if
// anything came of it.
func (w *world) waitsUnsigned(token string) {
	w.t.Helper()
	w.await("the refusal", time.Minute, func() bool {
		info, err := w.tasks.GetTaskInfo(queue.Follow, "default:"+token)
		return err == nil && info.State == asynq.TaskStateRetry && strings.Contains(info.LastErr, "TASK_KEYS")
	})
	time.Sleep(2 * time.Minute)
	if polls := w.seen(token).Polls; polls != 0 {
		w.t.Errorf("it was polled %d times", polls)
	}
	if !strings.Contains(w.logs.String(), "not signed with a key") {
		w.t.Error("nothing is logged")
	}
}

func TestTrust_WithKeysAnUnsignedSessionWaits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("unsigned", confirming(0))
		key, next := tasks.NewPayloadKey(), tasks.NewPayloadKey()
		w.signing(next)
		w.session("next", confirming(0))
		demanding := w.signing(key)
		w.session("signed", confirming(0))
		registry := prometheus.NewRegistry()
		p := w.start(demanding, func(o *Options) {
			o.Accounts[0].TaskKeys = append(o.Accounts[0].TaskKeys, next)
			o.Metrics = registry
		})
		for _, token := range []string{"signed", "next"} { // the others go on
			w.awaitEnd(token, time.Minute)
			w.checkOneStory(token)
		}
		w.waitsUnsigned("unsigned")
		if r := w.record("unsigned"); r.State != outcome.None {
			t.Errorf("there is a record: %+v", r)
		}
		if n := testutil.ToFloat64(p.metrics.RefusedTasks.WithLabelValues("default")); n < 2 {
			t.Errorf("%v refusals are counted", n)
		}
		p.stop()
		w.start() // an operator takes the keys away again: nothing was lost
		w.awaitEnd("unsigned", 2*time.Minute)
		w.checkOneStory("unsigned")
	})
}

// Whoever can write to Redis turns an unasked check into a clearance, sends the
// result elsewhere, or moves a payload, before a worker took the session.
func TestTrust_WithKeysAChangedSessionWaits(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"checks": {"checks": []string{"peps", "sanctions"}}, "callback": {"callback_url": thief}, "unsigned": {"v": 1, "signature": ""},
		"signature": {"signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				seen := w.watch(acknowledging)
				demanding := w.signing(tasks.NewPayloadKey())
				w.session("a", confirming(0), func(s *tasks.Session) { s.CallbackURL, s.Checks = rightful, nil })
				w.rewrite(queue.Follow, "default:a", change)
				w.start(demanding)
				w.waitsUnsigned("a")
				if len(seen.hosts) != 0 {
					t.Errorf("posted to %v", seen.hosts)
				}
			})
		})
	}
}

// A session that is followed loses its record, and its task is changed.
func TestTrust_WithKeysALostRecordChangesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(acknowledging)
		demanding := w.signing(tasks.NewPayloadKey())
		p := w.start(demanding)
		w.session("a", confirming(time.Minute), func(s *tasks.Session) { s.CallbackURL = rightful })
		w.await("the first poll", 5*time.Second, func() bool { return w.record("a").State == outcome.Following })
		p.cut()
		w.rdb.Del(w.ctx, "identwatch:default:a")
		w.rewrite(queue.Follow, "default:a", map[string]any{"callback_url": thief})
		w.start(demanding)
		w.await("the refusal", time.Minute, func() bool {
			info, err := w.tasks.GetTaskInfo(queue.Follow, "default:a")
			return err == nil && strings.Contains(info.LastErr, "TASK_KEYS")
		})
		time.Sleep(2 * time.Minute)
		if len(seen.hosts) != 0 {
			t.Errorf("posted to %v", seen.hosts)
		}
	})
}

// A result is spoiled, so that it has to be made again, and the task is changed
// from which that would be done.
func TestTrust_WithKeysASpoiledResultIsNotMadeAgainFromAChangedTask(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(failing(1, 500))
		demanding := w.signing(tasks.NewPayloadKey())
		p := w.start(demanding)
		w.session("a", confirming(0), func(s *tasks.Session) { s.CallbackURL, s.Checks = rightful, nil })
		w.session("b", confirming(0), func(s *tasks.Session) { s.CallbackURL = rightful })
		for _, token := range []string{"a", "b"} {
			w.await("the hand-over", time.Minute, func() bool { return w.record(token).State == outcome.Handed })
		}
		p.stop()
		w.rewrite(queue.Deliver, "default:a", map[string]any{"callback_url": thief, "checks": []string{"peps"}})
		for _, token := range []string{"a", "b"} {
			w.rdb.Del(w.ctx, "identwatch:default:"+token+":sealed")
		}
		w.start(demanding)
		w.awaitTask(queue.Deliver, "b", 5*time.Minute) // from a task that is as it was signed
		w.checkOneStory("b")
		w.await("another try", 5*time.Minute, func() bool { return w.record("a").Attempts > 1 })
		time.Sleep(time.Minute)
		if n := len(w.receiver.of("a")); n != 1 || seen.of("thief.example") != 0 {
			t.Errorf("%d posts, hosts %v", n, seen.hosts)
		}
	})
}

// A session that was taken before the keys were set up is brought to its end: its
// seal says what nobody signed.
func TestTrust_KeysThatAreNewHoldUpNoSealedResult(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(failing(1, 500))
		p := w.start()
		w.handed("a")
		p.stop()
		w.start(w.signing(tasks.NewPayloadKey()))
		w.awaitTask(queue.Deliver, "a", 5*time.Minute)
		w.checkOneStory("a")
		w.awaitTask(queue.Remove, "a", time.Minute)
		if seen.of("rightful.example") != 2 {
			t.Errorf("posted to %v", seen.hosts)
		}
	})
}

// The record of a session that nobody signed is lost while its result is posted:
// it is not followed from its task again.
func TestTrust_WithKeysAnUnsignedSessionIsNotPolledAfterItsRecordIsLost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.watch(func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return http.StatusNoContent, 10 * time.Second, nil
			}
			return http.StatusNoContent, 0, nil
		})
		p := w.start()
		w.session("a", confirming(0))
		w.await("the first post", time.Minute, func() bool { return w.record("a").State == outcome.Sealed })
		p.cut()
		polls := w.seen("a").Polls
		w.start(w.signing(tasks.NewPayloadKey()))
		w.await("the takeover", time.Minute, func() bool { return w.record("a").Holder != p.holder })
		w.rdb.Del(w.ctx, "identwatch:default:a", "identwatch:default:a:sealed")
		w.await("the refusal", time.Minute, func() bool {
			info, err := w.tasks.GetTaskInfo(queue.Follow, "default:a")
			return err == nil && strings.Contains(info.LastErr, "TASK_KEYS")
		})
		if got := w.seen("a").Polls; got != polls {
			t.Errorf("polled %d times more", got-polls)
		}
	})
}

func TestTrust_CallbackHostsBoundWhereResultsGo(t *testing.T) {
	inWorld(t, func(w *world) {
		seen := w.watch(acknowledging)
		bounded := func(o *Options) { o.Accounts[0].CallbackHosts = []string{"*.shop.example", "exact.example"} }
		p := w.start(bounded)
		w.session("own", confirming(0)) // the account's own callback
		for token, url := range map[string]string{"exact": "https://exact.example/hook", "below": "https://a.b.shop.example:8443/"} {
			w.session(token, confirming(0), func(s *tasks.Session) { s.CallbackURL = url })
		}
		for _, token := range []string{"own", "exact", "below"} {
			w.awaitEnd(token, time.Minute)
			w.checkOneStory(token)
		}
		w.session("stolen", confirming(0), func(s *tasks.Session) { s.CallbackURL = thief })
		w.await("a refusal", time.Minute, func() bool { return strings.Contains(w.record("stolen").LastError, "CALLBACK_HOSTS") })
		time.Sleep(5 * time.Minute)
		if seen.of("thief.example") != 0 || w.record("stolen").State != outcome.Handed || w.seen("stolen").Removes != 0 {
			t.Errorf("posted to %v, record %+v", seen.hosts, w.record("stolen"))
		}
		if !strings.Contains(w.logs.String(), `"level":"ERROR","msg":"a sealed result may not be posted`) {
			t.Error("no error says so")
		}
		p.stop()
		w.start(bounded, func(o *Options) { o.Accounts[0].CallbackHosts = append(o.Accounts[0].CallbackHosts, "thief.example") })
		w.awaitTask(queue.Deliver, "stolen", time.Hour) // an operator says that it is a receiver's
		w.checkOneStory("stolen")
	})
}

// A seal of an earlier release has no callback URL. The one in its task is used
// only if something vouches for it.
func TestTrust_AnOldSealGoesOnlyToWhatIsVouchedFor(t *testing.T) {
	key := tasks.NewPayloadKey()
	for name, c := range map[string]struct {
		signed bool
		change func(*Options)
		posted bool
	}{
		"nothing":               {false, func(*Options) {}, false},
		"the configuration":     {false, func(o *Options) { o.Accounts[0].CallbackURL = rightful }, true},
		"a host of the account": {false, func(o *Options) { o.Accounts[0].CallbackHosts = []string{"*.example"} }, true},
		"no host of it":         {true, func(o *Options) { o.Accounts[0].CallbackHosts = []string{"other.example"} }, false},
		"a signature":           {true, func(*Options) {}, true},
		"no signature":          {false, func(o *Options) { o.Accounts[0].TaskKeys = []tasks.PayloadKey{key} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.watch(failing(1, 500))
				demanding := func(*Options) {}
				if c.signed {
					demanding = w.signing(key)
				}
				p := w.start(demanding)
				w.handed("a")
				p.stop()
				w.sealOld("a", []byte(w.receiver.of("a")[0].body))
				seen := w.watch(acknowledging)
				w.start(demanding, c.change)
				if c.posted {
					w.awaitTask(queue.Deliver, "a", 5*time.Minute)
					w.checkOneStory("a")
					return
				}
				w.await("another try", 5*time.Minute, func() bool { return w.record("a").Attempts > 1 })
				time.Sleep(time.Minute)
				if len(seen.hosts) != 0 || !strings.Contains(w.logs.String(), "CALLBACK_HOSTS") {
					t.Errorf("posted to %v", seen.hosts)
				}
			})
		})
	}
}

func TestNew_RefusesCallbackHostsThatAreNone(t *testing.T) {
	inWorld(t, func(w *world) {
		_, err := New(Options{Redis: w.rdb, Accounts: []Account{{
			MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: "a"}, CallbackHosts: []string{"https://app.example"},
		}}})
		if err == nil || !strings.Contains(err.Error(), "Accounts[0]: CallbackHosts: wrong at item 1") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNew_RefusesAccountNamesThatSessionsCannotHave(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, name := range []string{"1shop", "Shop", "a:b"} {
			_, err := New(Options{Redis: w.rdb, Accounts: []Account{{Name: name, MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: "a"}}}})
			if err == nil || !strings.Contains(err.Error(), "Accounts[0]: the name may hold") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
