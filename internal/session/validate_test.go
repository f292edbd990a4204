package session

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// valid is a session that nothing is wrong with.
func valid() Job {
	return Job{
		Token: "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f", Method: SmartID, Locale: "en",
		CallbackURL: "https://shop.example/webhooks/identwatch", Reference: "order-1842",
		Checks: []Check{PEPs, Sanctions}, StartedAt: time.Date(2026, 11, 21, 20, 50, 41, 0, time.UTC),
		Account: "shop",
	}
}

// with returns a valid session with a change.
func with(change func(*Job)) Job {
	s := valid()
	change(&s)
	return s
}

// fields returns the names of the fields that an error of Validate is about.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*ValidationError](err)
	if !ok {
		t.Fatalf("got %T (%v), want a *ValidationError", err, err)
	}
	var names []string
	for _, f := range invalid.Fields {
		if f.Problem == "" {
			t.Errorf("%s is refused without a reason", f.Field)
		}
		names = append(names, f.Field)
	}
	return names
}

// expectField checks that nothing or one field alone is refused.
func expectField(t *testing.T, s Job, field string) {
	t.Helper()
	var want []string
	if field != "" {
		want = []string{field}
	}
	if got := fields(t, s.Validate()); !slices.Equal(got, want) {
		t.Errorf("refused %q, want %q (%.80q)", got, want, s)
	}
}

func TestValidate_TakesWhatIsComplete(t *testing.T) {
	t.Parallel()
	expectField(t, valid(), "")
	expectField(t, Job{Token: "a", Method: MobileID}, "")
}

func TestValidate_Token(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"a", "Z", "9", "-", "_", "...", ".a", "a.", "a..b", "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f",
		strings.Repeat("a", MaxTokenLength),
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.",
	} {
		expectField(t, with(func(s *Job) { s.Token = good }), "")
	}
	for _, bad := range []string{"", ".", "..", strings.Repeat("a", MaxTokenLength+1), "ė", "a\xff", "а" /* Cyrillic */, "ａ" /* full width */} {
		expectField(t, with(func(s *Job) { s.Token = bad }), "token")
	}
}

// TestValidate_TokenTakesNoOtherByte tries every single byte, alone and within a
// token: none but the allowed ones may become part of a path.
func TestValidate_TokenTakesNoOtherByte(t *testing.T) {
	t.Parallel()
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	for b := range 256 {
		char := string([]byte{byte(b)})
		want := "token"
		if strings.Contains(allowed, char) {
			want = ""
		}
		expectField(t, with(func(s *Job) { s.Token = "abc" + char + "def" }), want)
		if char == "." {
			want = "token" // a path segment that leads elsewhere
		}
		expectField(t, with(func(s *Job) { s.Token = char }), want)
	}
}

func TestValidate_Method(t *testing.T) {
	t.Parallel()
	for method, want := range map[Method]string{
		SmartID: "", MobileID: "", "": "method", "smartid": "method", "SMART_ID": "method", "smart id": "method", "bank_id": "method",
	} {
		expectField(t, with(func(s *Job) { s.Method = method }), want)
	}
}

func TestValidate_Locale(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{"": "", "lt": "", "en": "", "LT": "locale", "et": "locale", "../en": "locale"} {
		expectField(t, with(func(s *Job) { s.Locale = locale }), want)
	}
}

func TestValidate_CallbackURL(t *testing.T) {
	t.Parallel()
	const start = "https://shop.example/"
	for url, want := range map[string]string{
		"":                                           "",
		"https://shop.example":                       "",
		"https://shop.example/":                      "",
		"https://shop.example/a?b=c&d=%23":           "",
		"https://shop.example:443/":                  "",
		"https://shop.example:1024/":                 "",
		"https://shop.example:65535/":                "",
		"https://192.0.2.1/":                         "",
		"https://[2001:db8::1]/":                     "",
		"https://[2001:db8::1]:8443/":                "",
		"https://xn--dutas-5ta.example/":             "",
		"https://shop.example/užsakymas":             "",
		"http://shop.example/":                       "",
		"http://shop.example:80/":                    "",
		"http://shop.example:8080/":                  "",
		"HTTPS://shop.example/":                      "",
		start + strings.Repeat("a", 2048-len(start)): "",
		start + strings.Repeat("a", 2049-len(start)): "callback_url",

		"https://user@shop.example/":                 "callback_url",
		"https://shop.example/\xff":                  "callback_url",
		"https://user:pass@shop.example/":            "callback_url",
		"https://@shop.example/":                     "callback_url",
		"https://shop.example/#fragment":             "callback_url",
		"https://shop.example/#":                     "callback_url",
		"https://shop.example:0/":                    "callback_url",
		"https://shop.example:22/":                   "callback_url",
		"https://shop.example:80/":                   "callback_url",
		"https://shop.example:1023/":                 "callback_url",
		"https://shop.example:65536/":                "callback_url",
		"https://shop.example:99999999999999999999/": "callback_url",
		"https://shop.example:-1/":                   "callback_url",
		"https://shop.example:https/":                "callback_url",
		"https://shop.example:/":                     "callback_url",
		"http://shop.example:443/":                   "callback_url",
		"http://shop.example:22/":                    "callback_url",
		"https://[2001:db8::1]:22/":                  "callback_url",
		"https://[2001:db8::1/":                      "callback_url",
		"https:///path":                              "callback_url",
		"https://:443/":                              "callback_url",
		"https://":                                   "callback_url",
		"https:shop.example/":                        "callback_url",
		"/path":                                      "callback_url",
		"//shop.example/":                            "callback_url",
		"shop.example":                               "callback_url",
		"ftp://shop.example/":                        "callback_url",
		"file:///etc/passwd":                         "callback_url",
		"javascript:alert(1)":                        "callback_url",
		"gopher://shop.example/":                     "callback_url",
		" https://shop.example/":                     "callback_url",
		"https://shop.example/ ":                     "callback_url",
		"https://shop.example/a b":                   "callback_url",
		"https://shop .example/":                     "callback_url",
		"https://shop.example/\n":                    "callback_url",
		"https://shop.example/\r\nHost: evil":        "callback_url",
		"https://shop.example/\x00":                  "callback_url",
		"https://shop.example/\x7f":                  "callback_url",
		"https://shop.example/%zz":                   "callback_url",
		"://shop.example/":                           "callback_url",
	} {
		expectField(t, with(func(s *Job) { s.CallbackURL = url }), want)
	}
}

func TestValidate_Reference(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"": "", "order 1842 – ąčęėįšųūž": "",
		strings.Repeat("a", MaxReferenceLength):         "",
		strings.Repeat("ė", MaxReferenceLength/2):       "",
		strings.Repeat("a", MaxReferenceLength+1):       "reference",
		strings.Repeat("ė", MaxReferenceLength/2) + "a": "reference", // counted in bytes
		"a\x00b": "reference", "a\nb": "reference", "a\tb": "reference", "a\x7fb": "reference",
		"a\x1b[31mb": "reference", "a\u0085b": "reference", "a\u200bb": "reference", "a\u202eb": "reference",
		"a\u2028b": "reference", "a\u00a0b": "reference",
		"a\xffb": "reference", "a\xc3": "reference", "\xed\xa0\x80": "reference",
	} {
		expectField(t, with(func(s *Job) { s.Reference = reference }), want)
	}
}

func TestValidate_Checks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		checks []Check
		want   string
	}{
		{nil, ""},
		{[]Check{}, ""},
		{[]Check{PEPs}, ""},
		{[]Check{Sanctions, PEPs}, ""},
		{[]Check{PEPs, PEPs}, "checks"},
		{[]Check{PEPs, Sanctions, PEPs}, "checks"},
		{[]Check{""}, "checks"},
		{[]Check{"PEPS"}, "checks"},
		{[]Check{PEPs, "credit"}, "checks"},
	} {
		expectField(t, with(func(s *Job) { s.Checks = test.checks }), test.want)
	}
}

func TestValidate_StartedAt(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Time]string{
		{}:         "",
		time.Now(): "",
		time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC):      "",
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC): "",
		time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC): "started_at",
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC):     "started_at",
		time.Unix(0, 0):         "started_at",
		time.UnixMilli(1 << 62): "started_at",
	} {
		expectField(t, with(func(s *Job) { s.StartedAt = at }), want)
	}
}

func TestValidate_Account(t *testing.T) {
	t.Parallel()
	for account, want := range map[string]string{
		"": "", "default": "", "a": "", "0": "account", "1shop": "account", "shop-2_lt": "", strings.Repeat("a", MaxAccountLength): "",
		strings.Repeat("a", MaxAccountLength+1): "account",
		"Shop":                                  "account", "-shop": "account", "_shop": "account", "a:b": "account", "a b": "account",
		"a.b": "account", "a/b": "account", "a*": "account", "ė": "account", "shop\n": "account", "{a}": "account",
	} {
		expectField(t, with(func(s *Job) { s.Account = account }), want)
	}
}

func TestValidate_ReportsEveryFieldAtOnce(t *testing.T) {
	t.Parallel()
	const marked = "MARKED"
	err := Job{
		Token: marked + "/", Method: marked, Locale: marked, CallbackURL: "ftp://" + marked, Reference: marked + "\n",
		Checks: []Check{marked}, StartedAt: time.Unix(0, 0), Account: marked,
	}.Validate()
	want := []string{"token", "method", "locale", "callback_url", "reference", "checks", "started_at", "account"}
	if got := fields(t, err); !slices.Equal(got, want) {
		t.Errorf("refused %q, want %q", got, want)
	}
	for _, field := range want {
		if !strings.Contains(err.Error(), field+" ") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
	if strings.Contains(err.Error(), marked) {
		t.Errorf("the error holds what was refused: %v", err)
	}
}

func TestID_NamesAccountAndToken(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Job{
		"default:a": {Token: "a"},
		"shop:a":    {Token: "a", Account: "shop"},
	} {
		if got := s.ID(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
