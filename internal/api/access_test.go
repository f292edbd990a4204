package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/tries"
)

func TestKeys_OnlyAKnownKeyIsLetIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	shop.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	key := d.keys["shop"]
	for _, sent := range []string{
		"", "Bearer", "Bearer ", "Basic " + key, key, "Bearer " + key + "x", "Bearer " + key[:len(key)-1], "Bearer " + NewKey(),
		"Bearer " + strings.ToLower(key), "Bearer " + key + " " + key, "Bearer \x00", "Bearer " + strings.Repeat("a", 60_000),
	} {
		d.api.tries = tries.New(tries.Options{Door: "api"}) // else the last ones are slowed down
		c := shop.with("Authorization", sent)
		if sent == "" {
			c.header.Del("Authorization")
		}
		readDocument(t).each(func(verb, path string, _ method) {
			p := c.do(verb, strings.ReplaceAll(path, "{token}", "a"), nil).problem(http.StatusUnauthorized, "unauthorized")
			if strings.Contains(p.Detail, "aaa") {
				t.Errorf("the problem quotes the key: %s", p.Detail)
			}
		})
	}
	twice := shop.with("Authorization", "Bearer "+key)
	twice.header.Add("Authorization", "Bearer "+key)
	twice.do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusUnauthorized, "unauthorized")
	for _, sent := range []string{"bearer " + key, "Bearer  " + key + " "} {
		shop.with("Authorization", sent).do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK)
	}
	if strings.Contains(d.log.String(), key) {
		t.Error("the log has the key")
	}
}

// TestAccounts_CannotTouchAnothersSession walks every route of the document that
// names a session, so that a new one is covered.
func TestAccounts_CannotTouchAnothersSession(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop, crm := d.as("shop"), d.as("crm")
	want := shop.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	routes := 0
	readDocument(t).each(func(verb, path string, op method) {
		if !strings.Contains(path, "{token}") {
			return
		}
		routes++
		for _, token := range []string{"a", "shop:a", "shop%3Aa", "%2e%2e%2fshop:a"} {
			p := crm.do(verb, strings.ReplaceAll(path, "{token}", token), nil)
			p.problem(http.StatusNotFound, "not_found")
		}
		if known := op.Responses["404"].Description; known == "" {
			t.Errorf("%s %s does not tell of 404", verb, path)
		}
	})
	if routes < 3 {
		t.Errorf("%d routes name a session", routes)
	}
	if got := shop.do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK); got != want {
		t.Errorf("the session changed: %+v", got)
	}
}

// The same token of two accounts is two sessions.
func TestAccounts_HaveSessionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, account := range []string{"shop", "crm"} {
		if got := d.as(account).do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted); got.Account != account {
			t.Errorf("enqueued for %s", got.Account)
		}
	}
	d.as("crm").do(http.MethodDelete, "/v1/sessions/a", nil).session(http.StatusOK)
	if got := d.as("shop").do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK); got.State != "waiting" {
		t.Errorf("shop's session is %s", got.State)
	}
	fault := d.as("crm").do(http.MethodPost, "/v1/sessions", map[string]any{"token": "b", "method": "smart_id", "account": "shop"}).
		problem(http.StatusUnprocessableEntity, "invalid")
	if len(fault.Errors) != 1 || fault.Errors[0].Field != "account" || d.enqueued("shop", "b") {
		t.Errorf("an account in the body: %+v", fault.Errors)
	}
}

func TestNew_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	one, other := HashKey("one"), HashKey("other")
	sender := d.sender()
	for name, test := range map[string]struct {
		want     string
		accounts []Account
	}{
		"no name":             {"no name", []Account{{Sender: sender}}},
		"no sender":           {"no sender", []Account{{Name: "shop"}}},
		"twice":               {"twice", []Account{{Name: "shop", Sender: sender}, {Name: "shop", Sender: sender}}},
		"a key of two":        {"belongs to one", []Account{{Name: "shop", Sender: sender, Keys: [][32]byte{one}}, {Name: "crm", Sender: sender, Keys: [][32]byte{other, one}}}},
		"several keys of one": {"", []Account{{Name: "shop", Sender: sender, Keys: [][32]byte{one, other}}}},
	} {
		_, err := New(Options{Accounts: test.accounts, Redis: d.rdb})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("without Redis there is no error")
	}
	if Enabled([]Account{{Name: "shop"}}) || !Enabled([]Account{{Name: "shop"}, {Name: "crm", Keys: [][32]byte{one}}}) {
		t.Error("Enabled is wrong")
	}
}

func TestPaths_ThatAreNotThere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/session", "/v1/sessions/", "/v1/sessions/a/", "/v1/sessions/a/b", "/v1//sessions", "/v1/sessions/..", "/v1/sessions/%2e%2e",
		"/v1/sessions/a/../b", "/v1/./sessions", "/docs/x", "/docs/../v1/sessions", "/docs/page/index.html", "/docs/embed.go", "/V1/sessions",
	} {
		for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodConnect} {
			if strings.HasPrefix(path, "/docs/") && verb != http.MethodGet {
				continue
			}
			shop.do(verb, path, nil).problem(http.StatusNotFound, "not_found")
		}
	}
}

func TestPaths_RefuseOtherMethods(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	for path, item := range readDocument(t).Paths {
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			_, has := item[strings.ToLower(verb)]
			if has || verb == "HEAD" {
				continue
			}
			got := shop.do(verb, strings.ReplaceAll(path, "{token}", "a"), nil)
			got.problem(http.StatusMethodNotAllowed, "method_not_allowed")
			allowed := strings.Split(got.header.Get("Allow"), ", ")
			if len(allowed) != len(item) {
				t.Errorf("%s %s: Allow is %q", verb, path, allowed)
			}
		}
	}
}

func TestPage_ShowsTheDocumentWithWhatIsEmbedded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	nobody := d.nobody().with("Accept", "text/html")
	for name, kind := range map[string]string{
		"": "text/html", "page.js": "javascript", "page.css": "text/css",
		"swagger-ui-bundle.js": "javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png",
	} {
		got := nobody.do(http.MethodGet, "/docs/"+name, nil)
		if got.status != http.StatusOK || !strings.Contains(got.header.Get("Content-Type"), kind) || len(got.body) == 0 {
			t.Errorf("%s: %d as %s", name, got.status, got.header.Get("Content-Type"))
		}
		if policy := got.header.Get("Content-Security-Policy"); policy != pagePolicy || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", name, policy)
		}
		if name == "" && (strings.Contains(string(got.body), "//") || !strings.Contains(string(got.body), "/v1/openapi.yaml")) {
			t.Errorf("the page names what is not of this service, or not the document: %s", got.body)
		}
	}
	rec := httptest.NewRecorder()
	d.api.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/docs", nil))
	if rec.Code/100 != 3 || rec.Header().Get("Location") != "/docs/" {
		t.Errorf("/docs: %d to %q", rec.Code, rec.Header().Get("Location"))
	}
}

func TestKeys_WrongOnesAreSlowedDownAndRightOnesAreNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	stranger := d.nobody().with("Authorization", "Bearer "+NewKey())
	slowed := 0
	for range 200 {
		if got := stranger.do(http.MethodGet, "/v1/sessions/a", nil); got.status == http.StatusTooManyRequests {
			got.problem(http.StatusTooManyRequests, "too_many_tries")
			slowed++
		}
	}
	if slowed < 150 {
		t.Errorf("%d of 200 wrong keys were slowed down", slowed)
	}
	shop.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	d.nobody().do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusUnauthorized, "unauthorized")
	if log := d.log.String(); strings.Count(log, "wrong passwords or keys") != 1 || strings.Contains(log, "iwk_") {
		t.Errorf("the log says %s", log)
	}
}
