package queue

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/session"
)

// valid is a job that nothing is wrong with.
func valid() session.Job {
	return session.Job{
		Token: "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f", Method: session.SmartID, Locale: "en",
		CallbackURL: "https://shop.example/webhooks/identwatch", Reference: "order-1842",
		Checks: []session.Check{session.PEPs, session.Sanctions}, StartedAt: time.Date(2026, 11, 21, 20, 50, 41, 0, time.UTC),
		Account: "shop",
	}
}

// with returns a valid job with a change.
func with(change func(*session.Job)) session.Job {
	job := valid()
	change(&job)
	return job
}

func retained(job session.Job, retention time.Duration) session.Job {
	job.Retention = retention
	return job
}

// TestPayload_IsTheSameInEveryRelease: workers of other releases run these tasks, and
// an application that enqueues one again must find that it is the same.
func TestPayload_IsTheSameInEveryRelease(t *testing.T) {
	t.Parallel()
	key, err := ParsePayloadKey("task_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=")
	if err != nil {
		t.Fatal(err)
	}
	escaped := with(func(s *session.Job) {
		s.Reference = `<"\&'ė😀>`
		s.StartedAt = time.Date(2026, 11, 21, 20, 50, 41, 5_000_000, time.FixedZone("", 7200))
	})
	for _, test := range []struct {
		job       session.Job
		payload   string // after its version
		signature string
	}{
		{
			valid(),
			`"token":"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f","method":"smart_id","locale":"en","callback_url":"https://shop.example/webhooks/identwatch","reference":"order-1842","checks":["peps","sanctions"],"started_at":"2026-11-21T20:50:41Z","account":"shop","retention_s":7200`,
			"0wqwF9HxOABYrgVriq0JHqSUglKLf1WGGjA+ZQ3TeEw=",
		},
		{
			session.Job{Token: "a", Method: session.MobileID},
			`"token":"a","method":"mobile_id","account":"default","retention_s":7200`,
			"NynKtXZTEfxxocJZai19LJ6tRqaA3qF891IMTth+mxo=",
		},
		{
			escaped,
			`"token":"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f","method":"smart_id","locale":"en","callback_url":"https://shop.example/webhooks/identwatch","reference":"\u003c\"\\\u0026'ė😀\u003e","checks":["peps","sanctions"],"started_at":"2026-11-21T18:50:41.005Z","account":"shop","retention_s":7200`,
			"4KkKKyJ/BDFAQu5j5I0GDqAkEKt9IYS1/cXryR09HE4=",
		},
	} {
		job := retained(test.job, 2*time.Hour)
		for want, job := range map[string]session.Job{
			`{"v":1,` + test.payload + `}`:                                      job,
			`{"v":2,` + test.payload + `,"signature":"` + test.signature + `"}`: Sign(job, key),
		} {
			for _, newTask := range []func(session.Job) (*asynq.Task, error){NewFollowTask, NewDeliverTask, NewRemoveTask} {
				if task, err := newTask(job); err != nil || string(task.Payload()) != want {
					t.Errorf("error %v, got\n%s\nwant\n%s", err, task.Payload(), want)
				}
			}
		}
	}
}

// same reports whether two decoded tasks mean the same.
func same(a, b session.Job) bool {
	if !a.StartedAt.Equal(b.StartedAt) {
		return false
	}
	a.StartedAt, b.StartedAt = time.Time{}, time.Time{}
	if len(a.Checks) == 0 && len(b.Checks) == 0 {
		a.Checks, b.Checks = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func TestDecode_ReadsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]session.Job{
		"full":    valid(),
		"minimal": {Token: "a", Method: session.MobileID},
		"zoned":   with(func(s *session.Job) { s.StartedAt = time.Now().In(time.FixedZone("", 2*3600)) }),
		"escaped": with(func(s *session.Job) { s.Reference = `<"\&'ė😀>` }),
		"query":   with(func(s *session.Job) { s.CallbackURL = "https://shop.example/?a=1&b=<2>" }),
	} {
		data, err := encode(retained(s, 2*time.Hour))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.Account = s.AccountName() // the one thing that is made explicit
		if want := retained(s, 2*time.Hour); !same(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
	}
}

// TestDecode_ReadsRandomSessions encodes sessions of random valid fields.
func TestDecode_ReadsRandomSessions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := randomSession(random)
		if err := s.Validate(); err != nil {
			t.Fatalf("%v: %+v", err, s)
		}
		retention := time.Duration(3600+random.IntN(29*24*3600)) * time.Second
		data, err := encode(retained(s, retention))
		if err != nil {
			t.Fatal(err)
		}
		s.Account = s.AccountName()
		if got, err := Decode(data); err != nil || !same(got, retained(s, retention)) {
			t.Fatalf("got  %+v, error %v\nwant %+v", got, err, s)
		}
	}
}

func randomSession(random *rand.Rand) session.Job {
	text := func(alphabet string, most int) string {
		runes := []rune(alphabet)
		var b strings.Builder
		for b.Len() < 1+random.IntN(most) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		return b.String()
	}
	s := session.Job{
		Token:     "a" + text("abzAZ09-_.", session.MaxTokenLength-1),
		Method:    []session.Method{session.SmartID, session.MobileID}[random.IntN(2)],
		Locale:    []string{"", "lt", "en"}[random.IntN(3)],
		Reference: text("aZ9 -<>&\"'\\/ėž€", session.MaxReferenceLength-3),
		Checks:    [][]session.Check{nil, {session.PEPs}, {session.Sanctions}, {session.Sanctions, session.PEPs}}[random.IntN(4)],
	}
	if random.IntN(2) == 0 {
		s.CallbackURL = "https://shop.example:8443/" + text("aZ9-._~/?&=%20ė", 500)
		s.CallbackURL = strings.ReplaceAll(s.CallbackURL, "%", "%25")
		s.Account = "a" + text("az09-_", session.MaxAccountLength-1)
		s.StartedAt = time.UnixMilli(946_771_200_000 + random.Int64N(3_000_000_000_000)).UTC()
	}
	return s
}

func TestEncode_RefusesAnInvalidSession(t *testing.T) {
	t.Parallel()
	data, err := encode(session.Job{Token: "a/b", Method: session.SmartID, Retention: time.Hour})
	if invalid, ok := errors.AsType[*session.ValidationError](err); !ok || len(invalid.Fields) != 1 || data != nil {
		t.Errorf("got %q and %v", data, err)
	}
}

// TestDecode_ReadsAnAccountThatEarlierReleasesTook: such a session waits for a
// worker that has it, and nobody enqueues another.
func TestDecode_ReadsAnAccountThatEarlierReleasesTook(t *testing.T) {
	t.Parallel()
	got, err := Decode([]byte(`{"v":1,"token":"a","method":"smart_id","account":"1shop","retention_s":3600}`))
	if err != nil || got.ID() != "1shop:a" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := NewRemoveTask(got); err != nil {
		t.Errorf("its next task is refused: %v", err)
	}
	if _, err := Decode([]byte(`{"v":1,"token":"a","method":"smart_id","account":"1Shop","retention_s":3600}`)); err == nil {
		t.Error("took what no release took")
	}
}

func TestDecode_TellsANewerReleasesTask(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{"v":3}`, `{"v":3,"token":{"id":"a"},"method":7}`, `{"v":1000000}`} {
		if _, err := Decode([]byte(payload)); !errors.Is(err, ErrNewerPayload) {
			t.Errorf("%s: got %v, want ErrNewerPayload", payload, err)
		}
	}
}

func TestDecode_RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	const marked = "MARKED"
	for _, payload := range []string{
		``, marked, `[]`, `null`, `"` + marked + `"`, `{}`, `{"v":0}`, `{"v":-1}`, `{"v":"` + marked + `"}`, `{"v":1.5}`,
		`{"v":1}`,
		`{"v":1,"token":"a"}`,
		`{"v":1,"token":"` + marked + `/.."}`,
		`{"v":1,"token":7,"method":"smart_id"}`,
		`{"v":1,"token":"a","method":"smart_id","started_at":"` + marked + `"}`,
		`{"v":1,"token":"a","method":"smart_id","retention_s":"` + marked + `"}`,
		`{"v":1,"token":"a","method":"smart_id","checks":"` + marked + `"}`,
		`{"v":1,"token":"a","method":"smart_id"`,
		`{"v":1,"token":"a","method":"smart_id"} ` + marked,
	} {
		got, err := Decode([]byte(payload))
		if err == nil || errors.Is(err, ErrNewerPayload) {
			t.Errorf("%s: got %+v, error %v", payload, got, err)
		} else if strings.Contains(err.Error(), marked) {
			t.Errorf("%s: the error holds the payload: %v", payload, err)
		}
	}
}

func TestDecode_IgnoresFieldsItDoesNotKnow(t *testing.T) {
	t.Parallel()
	got, err := Decode([]byte(`{"v":1,"token":"a","method":"smart_id","later":{"x":[1]}}`))
	if err != nil || got.Token != "a" || got.Account != session.DefaultAccount {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestDecode_KeepsTheRetentionWithinItsBounds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]time.Duration{
		-1: session.MinRetention, 0: session.MinRetention, 3599: session.MinRetention, 3600: time.Hour, 86400: 24 * time.Hour,
		30 * 86400: session.MaxRetention, 30*86400 + 1: session.MaxRetention, 1 << 62: session.MaxRetention, -1 << 63: session.MinRetention,
	} {
		got, err := Decode(fmt.Appendf(nil, `{"v":1,"token":"a","method":"smart_id","retention_s":%d}`, seconds))
		if err != nil || got.Retention != want {
			t.Errorf("%d s: got %v, error %v, want %v", seconds, got.Retention, err, want)
		}
	}
}

// FuzzDecode: whatever Redis holds, a worker takes only a valid session, which is
// written back the same, and its errors say nothing of the payload.
func FuzzDecode(f *testing.F) {
	for _, s := range []session.Job{valid(), {Token: "a", Method: session.MobileID}} {
		data, err := encode(retained(s, session.DefaultRetention))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
		signed, err := NewFollowTask(Sign(retained(s, session.DefaultRetention), NewPayloadKey()))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(signed.Payload())
	}
	for _, seed := range []string{
		``, `null`, `{}`, `{"v":2}`, `{"v":1e3}`, `{"v":1,"token":"..","method":"smart_id"}`,
		`{"v":1,"token":"a","method":"smart_id","retention_s":-9223372036854775808}`,
		`{"v":1,"token":"a","method":"smart_id","started_at":"9999-12-31T23:59:59.999999999-23:59"}`,
		`{"v":1,"token":"a","method":"smart_id","started_at":"2000-01-01T00:00:00.12345678901+23:59"}`,
		`{"V":1,"TOKEN":"a","Method":"smart_id","token":"b"}`,
		"{\"v\":1,\"token\":\"a\",\"method\":\"smart_id\",\"reference\":\"\xff\\ud800\"}",
		`{"v":1,"token":"a","method":"smart_id","callback_url":"https://[fe80::1%25eth0]:8443/ė?\u2028"}`,
		`{"v":1,"token":"a","method":"mobile_id","checks":["sanctions","peps"],"account":"a-_9"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(data)
		if err != nil {
			saysNothing(t, err)
			return
		}
		if err := validateStored(got); err != nil {
			t.Fatalf("took an invalid session: %v", err)
		}
		if got.Retention < session.MinRetention || got.Retention > session.MaxRetention || got.Account == "" {
			t.Fatalf("took %+v", got)
		}
		again, err := encode(got)
		if err != nil {
			t.Fatalf("cannot be written back: %v", err)
		}
		second, err := Decode(again)
		if err != nil || !same(got, second) {
			t.Fatalf("got  %+v, error %v\nwant %+v", second, err, got)
		}
		if third, err := encode(second); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("wrote %q, then %q, error %v", again, third, err)
		}
	})
}
