package marksim_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/marksim"
)

func TestPaths_AllTwelve(t *testing.T) {
	t.Parallel()
	starts := map[string]string{
		"smartid": `{"access_token":"access","code":"30303039914","country":"LT"}`,
		"mobile":  `{"access_token":"access","code":"30303039914","phone":"+37060000000"}`,
	}
	const auth = `{"access_token":"access"}`
	for _, locale := range []string{"", "/en"} {
		for _, segment := range []string{"smartid", "mobile"} {
			t.Run(locale+" "+segment, func(t *testing.T) {
				t.Parallel()
				s := marksim.New(marksim.Options{AccessToken: accessToken})
				_, body := call(t, s, "POST", locale+"/"+segment+"/login.json", starts[segment])
				token, controlCode := started(t, body)
				if n, err := strconv.Atoi(controlCode); err != nil || n < 1000 || n > 9999 {
					t.Errorf("got control code %q", controlCode)
				}
				status := locale + "/" + segment + "/status/" + token + ".json"
				if code, body := call(t, s, "POST", status, auth); code != 200 || body != `{"status":"waiting"}` {
					t.Errorf("pending: got %d %s", code, body)
				}
				remove := locale + "/api/" + segment + "/session/" + token
				if code, body := call(t, s, "DELETE", remove, auth); code != 200 || body != `{"status":"ok"}` {
					t.Errorf("remove: got %d %s", code, body)
				}
				want := `{"status":"error","message":"Request number is invalid"}`
				if _, body := call(t, s, "DELETE", remove, auth); body != want {
					t.Errorf("remove again: got %s", body)
				}
				want = `{"status":"error","message":"Session for given token was not found","error_code":40402}`
				if _, body := call(t, s, "POST", status, auth); body != want {
					t.Errorf("status after remove: got %s", body)
				}
			})
		}
	}
}

func TestPaths_OthersAreAPage(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.SmartID, quick)
	for _, request := range []string{
		"GET /smartid/status/t.json", "POST /smartid/status/t", "POST /smartid/status/.json", "POST /lt/smartid/status/t.json",
		"POST /api/smartid/session/t", "DELETE /api/smartid/session/", "DELETE /smartid/status/t.json", "GET /smartid/login.json",
		"POST /", "POST /en", "POST /dokobit/status/t.json",
	} {
		method, path, _ := strings.Cut(request, " ")
		if code, body := call(t, s, method, path, `{}`); code != http.StatusNotFound || !strings.HasPrefix(body, "<html>") {
			t.Errorf("%s: got %d %s", request, code, body)
		}
	}
}

func TestPaths_OfTheOtherMethodKnowNoSession(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.MobileID, quick)
	if _, body := call(t, s, "POST", "/smartid/status/t.json", `{}`); !strings.Contains(body, "40402") {
		t.Errorf("got %s", body)
	}
	if _, body := call(t, s, "DELETE", "/api/smartid/session/t", `{}`); !strings.Contains(body, "error") {
		t.Errorf("got %s", body)
	}
	if got, _ := s.Session("t"); got.Polls != 0 || got.Removes != 0 {
		t.Errorf("counted: %+v", got)
	}
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{AccessToken: accessToken})
	s.Add("t", marksim.SmartID, quick)
	requests := []string{"POST /smartid/login.json", "POST /smartid/status/t.json", "DELETE /api/smartid/session/t"}
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		for _, body := range []string{``, `{}`, `{"access_token":"wrong"}`, `{"access_token":7}`, `access`} {
			if _, got := call(t, s, method, path, body); !strings.Contains(got, `"error_code":40003`) {
				t.Errorf("%s with %q: got %s", request, body, got)
			}
		}
	}
	if got, _ := s.Session("t"); !got.RemovedAt.IsZero() || got.FinalPolls != 0 {
		t.Errorf("a call without access did something: %+v", got)
	}
	s.SetAccessToken("another")
	for token, refused := range map[string]bool{accessToken: true, "another": false} {
		_, got := call(t, s, "POST", "/smartid/status/t.json", `{"access_token":"`+token+`"}`)
		if strings.Contains(got, `"error_code":40003`) != refused {
			t.Errorf("with %q after a change: got %s", token, got)
		}
	}
}

func TestStart_ChecksItsParameters(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		segment, body string
		code          int // 0 is started
	}{
		"Smart-ID":             {"smartid", `{"code":"10101010000","country":"LT"}`, 0},
		"Latvian":              {"smartid", `{"code":"010100-00000","country":"LV","peps":true,"sanctions":true,"message":"Hello"}`, 0},
		"Mobile-ID":            {"mobile", `{"code":"10101010000","phone":"+37200000000"}`, 0},
		"Mobile-ID, all of it": {"mobile", `{"code":"10101010000","phone":"+37200000000","language":"EST","message":"Tere","message_format":"UCS-2","peps":true,"sanctions":true}`, 0},
		"a country to ignore":  {"mobile", `{"code":"10101010000","phone":"+37200000000","country":"PL"}`, 0},
		"unknown language":     {"mobile", `{"code":"10101010000","phone":"+37200000000","language":"lt"}`, 40001},
		"unknown format":       {"mobile", `{"code":"10101010000","phone":"+37200000000","message_format":"UTF-8"}`, 40001},
		"no code for a phone":  {"mobile", `{"phone":"+37200000000"}`, 40005},
		"no code":              {"smartid", `{"country":"LT"}`, 40005},
		"short code":           {"smartid", `{"code":"1010101000","country":"LT"}`, 40005},
		"letters":              {"smartid", `{"code":"1010101000x","country":"LT"}`, 40005},
		"dash outside Latvia":  {"smartid", `{"code":"010100-00000","country":"LT"}`, 40005},
		"no country":           {"smartid", `{"code":"10101010000"}`, 40001},
		"country not served":   {"smartid", `{"code":"10101010000","country":"PL"}`, 40001},
		"no phone":             {"mobile", `{"code":"10101010000"}`, 40004},
		"phone of letters":     {"mobile", `{"code":"10101010000","phone":"+370 abc"}`, 40004},
		"code as a number":     {"smartid", `{"code":10101010000,"country":"LT"}`, 40001},
		"no JSON":              {"smartid", `code=10101010000`, 40001},
		"script":               {"smartid", `{"code":"10101010000","country":"LT","simulate":{"after_ms":0,"outcome":"refuses"}}`, 0},
		"script of nothing":    {"smartid", `{"code":"10101010000","country":"LT","simulate":{}}`, 0},
		"unknown outcome":      {"smartid", `{"code":"10101010000","country":"LT","simulate":{"outcome":"flies"}}`, 40001},
		"time before the call": {"smartid", `{"code":"10101010000","country":"LT","simulate":{"after_ms":-1}}`, 40001},
		"time out of reach":    {"smartid", `{"code":"10101010000","country":"LT","simulate":{"after_ms":9223372036854775807}}`, 40001},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := marksim.New(marksim.Options{})
			_, body := call(t, s, "POST", "/"+tt.segment+"/login.json", tt.body)
			if tt.code == 0 {
				token, _ := started(t, body)
				if got, ok := s.Session(token); !ok || got.Token != token {
					t.Errorf("got %+v", got)
				}
				return
			}
			if !strings.Contains(body, `"error_code":`+strconv.Itoa(tt.code)) || len(s.Sessions()) != 0 {
				t.Errorf("got %s, %d sessions", body, len(s.Sessions()))
			}
		})
	}
}
