package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// same reports whether two decoded tasks mean the same.
func same(a, b Followed) bool {
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
	for name, s := range map[string]Session{
		"full":    valid(),
		"minimal": {Token: "a", Method: MobileID},
		"zoned":   with(func(s *Session) { s.StartedAt = time.Now().In(time.FixedZone("", 2*3600)) }),
		"escaped": with(func(s *Session) { s.Reference = `<"\&'ė😀>` }),
		"query":   with(func(s *Session) { s.CallbackURL = "https://shop.example/?a=1&b=<2>" }),
	} {
		data, err := encode(Followed{Session: s, Retention: 2 * time.Hour})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.Account = s.account() // the one thing that is made explicit
		if want := (Followed{Session: s, Retention: 2 * time.Hour}); !same(got, want) {
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
		data, err := encode(Followed{Session: s, Retention: retention})
		if err != nil {
			t.Fatal(err)
		}
		s.Account = s.account()
		if got, err := Decode(data); err != nil || !same(got, Followed{Session: s, Retention: retention}) {
			t.Fatalf("got  %+v, error %v\nwant %+v", got, err, s)
		}
	}
}

func randomSession(random *rand.Rand) Session {
	text := func(alphabet string, most int) string {
		runes := []rune(alphabet)
		var b strings.Builder
		for b.Len() < 1+random.IntN(most) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		return b.String()
	}
	s := Session{
		Token:     "a" + text("abzAZ09-_.", MaxTokenLength-1),
		Method:    []Method{SmartID, MobileID}[random.IntN(2)],
		Locale:    []string{"", "lt", "en"}[random.IntN(3)],
		Reference: text("aZ9 -<>&\"'\\/ėž€", MaxReferenceLength-3),
		Checks:    [][]Check{nil, {PEPs}, {Sanctions}, {Sanctions, PEPs}}[random.IntN(4)],
	}
	if random.IntN(2) == 0 {
		s.CallbackURL = "https://shop.example:8443/" + text("aZ9-._~/?&=%20ė", 500)
		s.CallbackURL = strings.ReplaceAll(s.CallbackURL, "%", "%25")
		s.Account = "a" + text("az09-_", MaxAccountLength-1)
		s.StartedAt = time.UnixMilli(946_771_200_000 + random.Int64N(3_000_000_000_000)).UTC()
	}
	return s
}

func TestEncode_RefusesAnInvalidSession(t *testing.T) {
	t.Parallel()
	data, err := encode(Followed{Session: Session{Token: "a/b", Method: SmartID}, Retention: time.Hour})
	if got := fields(t, err); len(got) != 1 || data != nil {
		t.Errorf("got %q and the fields %q", data, got)
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
	if _, err := NewFollowTask(got.Session, time.Hour); err == nil {
		t.Error("it may be enqueued")
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
	if err != nil || got.Token != "a" || got.Account != DefaultAccount {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestDecode_KeepsTheRetentionWithinItsBounds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]time.Duration{
		-1: MinRetention, 0: MinRetention, 3599: MinRetention, 3600: time.Hour, 86400: 24 * time.Hour,
		30 * 86400: MaxRetention, 30*86400 + 1: MaxRetention, 1 << 62: MaxRetention, -1 << 63: MinRetention,
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
	for _, s := range []Session{valid(), {Token: "a", Method: MobileID}} {
		data, err := encode(Followed{Session: s, Retention: DefaultRetention})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
		signed, err := NewSignedFollowTask(NewPayloadKey(), s, DefaultRetention)
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
		if err := got.validateStored(); err != nil {
			t.Fatalf("took an invalid session: %v", err)
		}
		if got.Retention < MinRetention || got.Retention > MaxRetention || got.Account == "" {
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
