package desk

import (
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestGuard_RefusesWhatOtherSitesAskFor(t *testing.T) {
	t.Parallel()
	rest := http.NewServeMux()
	rest.HandleFunc("/rest/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	f := run(t, 0, Options{Rest: rest})
	host := strings.TrimPrefix(f.url, "http://")
	port := host[strings.LastIndex(host, ":"):]
	for _, path := range []string{"/desk/conditions", "/rest/"} {
		done := map[string]int{"/desk/conditions": http.StatusNoContent, "/rest/": http.StatusTeapot}[path]
		for _, test := range []struct {
			header map[string]string
			want   int
		}{
			{map[string]string{}, done}, // a script on this machine
			{map[string]string{"Sec-Fetch-Site": "same-origin"}, done},
			{map[string]string{"Origin": f.url}, done},
			{map[string]string{"Host": "localhost" + port, "Origin": "http://localhost" + port}, done},
			{map[string]string{"Host": "[::1]" + port}, done},
			{map[string]string{"Host": "127.0.0.1"}, done},
			{map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
			{map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
			{map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
			{map[string]string{"Origin": "null"}, http.StatusForbidden},
			{map[string]string{"Origin": "http://localhost:1"}, http.StatusForbidden},
			{map[string]string{"Host": "evil.example" + port}, http.StatusForbidden},
			{map[string]string{"Host": "evil.example" + port, "Origin": "http://evil.example" + port}, http.StatusForbidden},
			{map[string]string{"Host": "127.0.0.1.evil.example"}, http.StatusForbidden},
			{map[string]string{"Host": "localhost.evil.example"}, http.StatusForbidden},
			{map[string]string{"Host": "192.168.1.7" + port}, http.StatusForbidden},
		} {
			test.header["Content-Type"] = "application/json"
			status, answer, _ := request(t, f, http.MethodPost, path, `{"marksign":"well"}`, test.header)
			if status != test.want {
				t.Errorf("%s %v: got %d %s, want %d", path, test.header, status, answer, test.want)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""} {
		if status, _, _ := request(t, f, http.MethodPost, "/desk/conditions", `{}`, map[string]string{"Content-Type": kind}); status != http.StatusUnsupportedMediaType {
			t.Errorf("a POST of %q got %d", kind, status)
		}
	}
	if status, _, _ := request(t, f, http.MethodGet, "/desk/stream", "", map[string]string{"Host": "evil.example"}); status != http.StatusForbidden {
		t.Errorf("a stream under a foreign name got %d", status)
	}
}

func TestPage_IsServedWithAStrictPolicy(t *testing.T) {
	t.Parallel()
	f := run(t, 0, Options{Links: []Link{{"Queues", "/monitor/"}}})
	status, page, header := request(t, f, http.MethodGet, "/", "", nil)
	if status != http.StatusOK || !strings.Contains(string(page), `<a href="/monitor/">Queues</a>`) {
		t.Errorf("got %d, %.200s", status, page)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if !strings.Contains(header.Get(name), want) {
			t.Errorf("%s is %s", name, header.Get(name))
		}
	}
	for _, inline := range []string{"<style", " style=", "<script>", " onclick=", "javascript:", "http://", "https://"} {
		if strings.Contains(string(page), inline) {
			t.Errorf("the page has %s", inline)
		}
	}
	files, err := fs.Glob(assets(), "*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	types := map[string]string{"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
	for _, file := range files {
		_, ending, _ := strings.Cut(file, ".")
		status, _, header := request(t, f, http.MethodGet, "/desk/assets/"+url.PathEscape(file), "", nil)
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), types[ending]) || header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: got %d, %v", file, status, header)
		}
	}
	for _, path := range []string{"/nothing", "/desk/", "/desk/nothing", "/desk/assets/nothing.js"} {
		if status, _, _ := request(t, f, http.MethodGet, path, "", nil); status != http.StatusNotFound {
			t.Errorf("%s: got %d", path, status)
		}
	}
}
