package monitor

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

func TestPage_FetchesNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 0)})
	page := request(h, "GET", Path)
	if link := regexp.MustCompile(`(?:href|src)="(?:https?:)?//[^"]*"`).FindString(page.Body.String()); link != "" {
		t.Errorf("the page has %s", link)
	}
	for _, want := range []string{`FLAG_ROOT_PATH="\/monitor"`, `FLAG_READ_ONLY="true"`, `FLAG_PROMETHEUS_SERVER_ADDRESS=""`, `src="/monitor/static/js/main.`} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %s:\n%s", want, page.Body)
		}
	}
	for _, file := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		if rec := request(h, "GET", file[1]); rec.Code != 200 || strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", file[1], rec.Code, rec.Header())
		}
	}
}

func TestPage_PolicyNamesItsScriptsAndItsNonce(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 0)})
	nonces := map[string]bool{}
	for range 3 {
		page := request(h, "GET", Path)
		policy := page.Header().Get("Content-Security-Policy")
		scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page.Body.String(), -1)
		if len(scripts) != 2 || strings.Count(policy, "'sha256-") != 2 {
			t.Errorf("%d scripts in the page; the policy is %s", len(scripts), policy)
		}
		for _, script := range scripts {
			sum := sha256.Sum256([]byte(script[1]))
			if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("the policy %s lacks the script %.60s", policy, script[1])
			}
		}
		nonce := regexp.MustCompile(`<meta property="csp-nonce" content="([^"]{20,})"/>`).FindStringSubmatch(page.Body.String())
		if nonce == nil || !strings.Contains(policy, "style-src 'nonce-"+nonce[1]+"'") {
			t.Fatalf("nonce %q; the policy is %s", nonce, policy)
		}
		nonces[nonce[1]] = true
	}
	if len(nonces) != 3 {
		t.Errorf("3 answers have %d nonces", len(nonces))
	}
}

// TestPage_IsBehindEveryPathOfAView asks as a browser does at a reload.
func TestPage_IsBehindEveryPathOfAView(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 0)})
	for _, path := range []string{
		"", "servers", "schedulers", "redis", "settings", "queues/identwatch-follow?status=retry", "queues/identwatch-follow/",
		"queues/identwatch-follow/tasks/default:1c5cd62c", "queues/identwatch-follow/tasks/default:token.js", "nothing",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			rec := request(h, method, Path+path)
			if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s %s: got %d %s", method, path, rec.Code, rec.Header())
			}
		}
	}
	if rec := request(h, "GET", "/monitor"); rec.Code/100 != 3 || rec.Header().Get("Location") != Path {
		t.Errorf("without the slash: got %d to %q", rec.Code, rec.Header().Get("Location"))
	}
}

func TestFiles_AreTypedAndKept(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 0)})
	for path, want := range map[string]string{
		"static/js/main.5adda2da.chunk.js": "application/javascript; charset=utf-8", "favicon.ico": "image/x-icon", "favicon-32x32.png": "image/png",
	} {
		rec := request(h, "GET", Path+path)
		if rec.Code != 200 || rec.Header().Get("Content-Type") != want || rec.Body.Len() < 500 {
			t.Errorf("%s: got %d, %d bytes of %s", path, rec.Code, rec.Body.Len(), rec.Header().Get("Content-Type"))
		}
		if kept := strings.Contains(rec.Header().Get("Cache-Control"), "private, max-age=31536000"); kept != strings.HasPrefix(path, "static/") {
			t.Errorf("%s: kept is %t", path, kept)
		}
	}
}
