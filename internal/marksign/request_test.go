package marksign

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestRequests_AreTheDocumentedEight(t *testing.T) {
	t.Parallel()
	const token = testToken
	tests := []struct {
		session Session
		locale  string // of the client
		remove  bool
		want    string
	}{
		{Session{token, SmartID, "lt"}, "", false, "POST /smartid/status/" + token + ".json"},
		{Session{token, SmartID, "en"}, "", false, "POST /en/smartid/status/" + token + ".json"},
		{Session{token, MobileID, "lt"}, "", false, "POST /mobile/status/" + token + ".json"},
		{Session{token, MobileID, "en"}, "", false, "POST /en/mobile/status/" + token + ".json"},
		{Session{token, SmartID, "lt"}, "", true, "DELETE /api/smartid/session/" + token},
		{Session{token, SmartID, "en"}, "", true, "DELETE /en/api/smartid/session/" + token},
		{Session{token, MobileID, "lt"}, "", true, "DELETE /api/mobile/session/" + token},
		{Session{token, MobileID, "en"}, "", true, "DELETE /en/api/mobile/session/" + token},

		{Session{token, SmartID, ""}, "", false, "POST /smartid/status/" + token + ".json"},
		{Session{token, SmartID, ""}, "lt", false, "POST /smartid/status/" + token + ".json"},
		{Session{token, SmartID, ""}, "en", false, "POST /en/smartid/status/" + token + ".json"},
		{Session{token, SmartID, "lt"}, "en", false, "POST /smartid/status/" + token + ".json"},
		{Session{"a/../b?c#d %", SmartID, ""}, "", true, "DELETE /api/smartid/session/a%2F..%2Fb%3Fc%23d%20%25"},
		{Session{"...", SmartID, ""}, "", true, "DELETE /api/smartid/session/..."},
	}
	var line, body string
	var header http.Header
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		line, body, header = r.Method+" "+r.RequestURI, string(sent), r.Header
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	})
	for _, tt := range tests {
		c, err := New(Config{BaseURL: base, AccessToken: accessToken, Locale: tt.locale})
		if err != nil {
			t.Fatal(err)
		}
		if tt.remove {
			c.Remove(t.Context(), tt.session)
		} else {
			c.Status(t.Context(), tt.session)
		}
		if line != tt.want || body != `{"access_token":"`+accessToken+`"}` {
			t.Errorf("got %s with %s, want %s", line, body, tt.want)
		}
		want := map[string]string{
			"Content-Type": "application/json", "Accept": "application/json",
			"Accept-Encoding": "identity", "User-Agent": "identwatch", "Content-Length": strconv.Itoa(len(body)),
		}
		for name, value := range want {
			if header.Get(name) != value {
				t.Errorf("got %s: %s, want %s", name, header.Get(name), value)
			}
		}
		if len(header) != len(want) {
			t.Errorf("got more than was to be sent: %v", header)
		}
	}
}

func TestRequests_KeepThePrefixOfTheBaseURL(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://marksign.test":            "http://marksign.test/smartid/status/t.json",
		"https://marksign.test:8443/":     "https://marksign.test:8443/smartid/status/t.json",
		"https://marksign.test/proxy/ms/": "https://marksign.test/proxy/ms/smartid/status/t.json",
		"https://marksign.test/a%2Fb":     "https://marksign.test/a%2Fb/smartid/status/t.json",
	} {
		var got string
		c := newClient(t, base, roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return respond(200, `{"status":"waiting"}`)(r)
		}))
		if c.Status(t.Context(), Session{Token: "t", Method: SmartID}); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}

func TestRequests_RefuseASessionThatHasNoPath(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://marksign.test", roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request went out")
		return nil, io.EOF
	}))
	tests := map[string]Session{
		"invalid token":   {Token: "", Method: SmartID},
		"invalid token ":  {Token: ".", Method: SmartID},
		"invalid token  ": {Token: "..", Method: MobileID},
		"invalid method":  {Token: "t"},
		"invalid locale":  {Token: "t", Method: SmartID, Locale: "../x"},
	}
	for detail, s := range tests {
		detail = strings.TrimSpace(detail)
		if got := c.Status(t.Context(), s); got != temporary(detail) {
			t.Errorf("got %v, want %s", got, detail)
		}
		if got := c.Remove(t.Context(), s); got != (RemoveAnswer{Detail: detail}) {
			t.Errorf("got %+v, want %s", got, detail)
		}
	}
}
