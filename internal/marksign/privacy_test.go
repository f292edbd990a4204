package marksign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// printed is everything that a value comes to by being printed.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
		fmt.Fprintf(&b, verb+"\n", []any{v, struct{ Exported any }{v}})
	}
	encoded, err := json.Marshal(map[string]any{"value": v})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(encoded)
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		slog.New(h).Info("printed", "value", v, "in", struct{ Exported any }{v})
	}
	if s, ok := v.(fmt.Stringer); ok {
		b.WriteString(s.String())
	}
	if s, ok := v.(fmt.GoStringer); ok {
		b.WriteString(s.GoString())
	}
	return b.String()
}

func TestNothingPersonalIsPrinted(t *testing.T) {
	t.Parallel()
	id := Identity{
		Name: "MARKED-NAME", Surname: "MARKED-SURNAME", Code: "MARKED-CODE", Country: "MARKED-COUNTRY",
		PEPs: []byte(`["MARKED-PEP"]`), Sanctions: []byte(`["MARKED-SANCTION"]`),
		Certificate: []byte(`"MARKED-CERTIFICATE"`), Upstream: []byte(`{"more":"MARKED-MORE"}`),
	}
	cfg := Config{BaseURL: "http://marksign.test", AccessToken: accessToken}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	answer := Answer{Verdict: Refused, Code: 40020, Message: "MARKED-MESSAGE", Detail: "safe", Identity: &id, Salvage: &Salvage{Body: []byte("MARKED-SALVAGE")}}
	values := map[string]any{
		"salvage": *answer.Salvage, "pointer to salvage": answer.Salvage,
		"identity": id, "pointer to identity": &id, "answer": answer, "pointer to answer": &answer,
		"config": cfg, "client": client, "holder of client": struct{ c *Client }{client},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := printed(t, v)
			// %x of the marks, and the decimals of %d of a byte slice
			for _, mark := range []string{"MARKED", "4d41524b4544", "4D41524B4544", "77 65 82 75"} {
				if strings.Contains(out, mark) {
					t.Errorf("%s shows in %s", mark, out)
				}
			}
		})
	}
	if out := printed(t, answer); !strings.Contains(out, "refused") || !strings.Contains(out, "40020") {
		t.Errorf("an answer does not say what it is: %s", out)
	}
}

// A handler that does not print through fmt or JSON sees what LogValue returns.
func TestLogValuesAreResolved(t *testing.T) {
	t.Parallel()
	for _, v := range []any{Identity{}, &Identity{}, Config{}, &Client{}} {
		if got := slog.AnyValue(v).Resolve(); got.Kind() != slog.KindString || got.String() != "[redacted]" {
			t.Errorf("%T: got %v", v, got)
		}
	}
	if got := slog.AnyValue(Answer{Message: "MARKED"}).Resolve(); got.Kind() != slog.KindGroup || len(got.Group()) != 4 {
		t.Errorf("got %v", got)
	}
}

func TestTransportDetailsAreOfTheVocabulary(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{
		errors.New("dial marksign.test: " + testToken),
		&url.Error{Op: "Post", URL: "http://marksign.test/" + testToken, Err: errors.New(accessToken)},
		&net.DNSError{Err: "no such host", Name: "marksign.test", IsNotFound: true},
		&net.OpError{Op: "dial", Addr: &net.UnixAddr{Name: "marksign.test"}, Err: errors.New(testToken)},
	} {
		c := newClient(t, "http://marksign.test", roundTrip(func(*http.Request) (*http.Response, error) { return nil, failure }))
		status := c.Status(context.Background(), smartSession)
		out := printed(t, status) + printed(t, c.Remove(context.Background(), smartSession))
		for _, mark := range []string{"marksign.test", testToken, accessToken} {
			if strings.Contains(out, mark) {
				t.Errorf("%s shows for %T in %s", mark, failure, out)
			}
		}
		if status.Verdict != Temporary || status.Detail == "" {
			t.Errorf("%T: got %v", failure, status)
		}
	}
}

func TestNew_ErrorsNameFieldsAndNoValues(t *testing.T) {
	t.Parallel()
	bases := []string{
		"", "marksign.test", "ftp://marksign.test", "http://", "https://:443", "//marksign.test", "http://[::1", "http://a b",
		"https://marked:MARKED@marksign.test", "https://marksign.test?MARKED=1", "https://marksign.test?", "https://marksign.test#MARKED",
	}
	for _, base := range bases {
		_, err := New(Config{BaseURL: base, AccessToken: accessToken})
		if err == nil || !strings.Contains(err.Error(), "BaseURL") || strings.Contains(err.Error(), "MARKED") {
			t.Errorf("%q: got %v", base, err)
		}
	}
	_, err := New(Config{AccessToken: "MARKED\xff", Locale: "MARKED", MaxConns: -1, Timeout: -1})
	for _, field := range []string{"BaseURL", "AccessToken", "Locale", "MaxConns", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "MARKED") {
			t.Errorf("%s is not named, or its value is, in: %v", field, err)
		}
	}
}
