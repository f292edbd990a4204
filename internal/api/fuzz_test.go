package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// FuzzRequests makes requests from the document, valid ones and mutated ones,
// for every operation. None is answered with 5xx, for Redis is up, and every
// answer is in the document.
func FuzzRequests(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(anyRequest(f)))
}

// More of them: -rapid.checks=100000.
func TestRequests_OfEveryKindGetAnAnswerOfTheDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, anyRequest(t))
}

// anyRequest is the property, on one Redis for all tries.
func anyRequest(t testing.TB) func(*rapid.T) {
	rdb, mini := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); mini.Close() })
	requests := newRequests(readDocument(t))
	d := newDeskOn(t, rdb)
	return func(t *rapid.T) {
		mini.FlushAll()
		rdb.SAdd(t.Context(), "asynq:queues", queue.Follow, queue.Deliver, queue.Remove) // as a worker does when it starts
		d.seal("shop", "sealed")
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			r := requests.draw(t)
			got := r.send(t, d.as("shop"))
			if got.status >= 500 {
				t.Fatalf("%s %s %v %s: %d %s\n%s", r.verb, r.path, r.header, r.body, got.status, got.body, d.log)
			}
			if r.mutations == 0 && slices.Contains([]int{400, 401, 405, 406, 413, 415}, got.status) {
				t.Fatalf("a valid request, %s %s %s: %d %s", r.verb, r.path, r.body, got.status, got.body)
			}
		}
	}
}

// requests draws requests for the operations of a document.
type requests struct {
	openAPI
	operations []drawn // without values
}

// tokens of which sessions are enqueued, cancelled and sealed.
var tokens = []string{"a", "b", "sealed", "0.-_"}

// drawn is a request.
type drawn struct {
	verb, path string
	schema     *schema // of the body; nil: none
	header     map[string]string
	body       string
	mutations  int
}

func newRequests(d openAPI) requests {
	r := requests{openAPI: d}
	d.each(func(verb, path string, op method) {
		o := drawn{verb: verb, path: path}
		if m, has := op.RequestBody.Content["application/json"]; has {
			o.schema = &m.Schema
		}
		r.operations = append(r.operations, o)
	})
	slices.SortFunc(r.operations, func(a, b drawn) int { return strings.Compare(a.verb+a.path, b.verb+b.path) })
	return r
}

func (r requests) draw(t *rapid.T) drawn {
	d := rapid.SampledFrom(r.operations).Draw(t, "operation")
	d.header = map[string]string{}
	d.path = strings.ReplaceAll(d.path, "{token}", rapid.SampledFrom(tokens).Draw(t, "token"))
	var body any
	if d.schema != nil {
		d.header["Content-Type"] = "application/json"
		body = r.value(t, *d.schema)
	}
	d.mutations = rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "mutations")
	var raw []func(*rapid.T, *drawn)
	for range d.mutations {
		if d.schema != nil && rapid.IntRange(0, 2).Draw(t, "kind") > 0 {
			body = mutate(t, body)
			continue
		}
		raw = append(raw, rapid.SampledFrom(requestMutations).Draw(t, "mutation"))
	}
	if d.schema != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		d.body = string(text)
	}
	for _, change := range raw {
		change(t, &d)
	}
	return d
}

func (d drawn) send(t *rapid.T, c client) reply {
	c.t = t
	for name, value := range d.header {
		c = c.with(name, value)
	}
	target, err := url.ParseRequestURI(d.path)
	if err != nil {
		target = &url.URL{Path: d.path} // net/http would not let it in
	}
	r := (&http.Request{
		Method: d.verb, URL: target, Host: "api.example", Header: c.header, Body: http.NoBody,
	}).WithContext(context.Background())
	if d.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(d.body)), int64(len(d.body))
	}
	return c.send(r)
}

// value draws a value that a schema allows.
func (r requests) value(t *rapid.T, s schema) any {
	if s.Ref != "" {
		s = r.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	switch {
	case len(s.Enum) > 0:
		return rapid.SampledFrom(s.Enum).Draw(t, "enum")
	case s.Format == "date-time":
		return rapid.SampledFrom([]string{"2026-11-21T20:50:41Z", "2000-01-01T00:00:00.123456789+14:00", "9999-12-30T23:59:59-00:00"}).Draw(t, "time")
	case s.Format == "uri":
		return rapid.SampledFrom([]string{"https://app.example/", "https://app.example:8443/%2e?a=%00", "https://xn--bcher-kva.example"}).Draw(t, "uri")
	case s.Pattern != "":
		return rapid.OneOf(rapid.SampledFrom(tokens), rapid.StringMatching(`[A-Za-z0-9._-]{1,128}`)).Draw(t, "matching")
	case s.Type == "string":
		return rapid.StringN(0, 30, 120).Draw(t, "string")
	case s.Type == "array":
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return r.value(t, *s.Items) }), 1, 3).Draw(t, "array")
	}
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, name) || rapid.Bool().Draw(t, name) {
			object[name] = r.value(t, s.Properties[name])
		}
	}
	return object
}

// odd draws a value that most fields refuse. It is a fresh copy, because mutate changes
// what it gets.
func odd(t *rapid.T, label string) any {
	return rapid.SampledFrom(oddValues()).Draw(t, label)
}

func oddValues() []any {
	return []any{
		nil, true, -1, 0, json.Number("1e400"), json.Number("-0.0"), "", " ", "\x00", "\u2028", "ä", "..", ".", "a/b", "a:b", "shop:a", "null", "{}",
		json.RawMessage(`"\ud800"`),
		[]any{},
		[]any{nil},
		[]any{[]any{}},
		map[string]any{},
		map[string]any{"token": "a"},
		[]string{"peps", "sanctions", "peps"},
		strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("ä", 100), strings.Repeat("ä", 101), strings.Repeat("a", 200),
		strings.Repeat("a", 201), "https://" + strings.Repeat("a", 2040), "https://" + strings.Repeat("a", 2041), "http://app.example", "https://user@app.example",
		"https://[::1]/", "https://app.example:99999/", "https://%zz/", "2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "10000-01-01T00:00:00Z", "2026-11-21",
	}
}

// mutate changes one place of a value.
func mutate(t *rapid.T, value any) any {
	object, isObject := value.(map[string]any)
	list, isList := value.([]any)
	switch rapid.IntRange(0, 3).Draw(t, "change") {
	case 0:
		return odd(t, "odd")
	case 1:
		if isObject {
			object[rapid.SampledFrom([]string{"account", "Token", "", "\x00", "token ", "sessions", "callback_url", strings.Repeat("k", 300)}).Draw(t, "name")] = odd(t, "more")
		}
		return value
	}
	switch {
	case isObject && len(object) > 0:
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(object))).Draw(t, "member")
		if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
			delete(object, name)
			return object
		}
		object[name] = mutate(t, object[name])
	case isList && len(list) > 0:
		i := rapid.IntRange(0, len(list)-1).Draw(t, "element")
		list[i] = mutate(t, list[i])
	default:
		return odd(t, "odd")
	}
	return value
}

// requestMutations change what is around the body, or its bytes.
var requestMutations = []func(*rapid.T, *drawn){
	func(t *rapid.T, d *drawn) {
		d.verb = rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}).Draw(t, "verb")
	},
	func(t *rapid.T, d *drawn) {
		d.header["Content-Type"] = rapid.SampledFrom([]string{
			"", "text/plain", "application/json;charset=latin1", "application/json;;", "APPLICATION/JSON", "application/problem+json", "\xff", "multipart/form-data; boundary=a",
		}).Draw(t, "type")
	},
	func(t *rapid.T, d *drawn) {
		d.header["Accept"] = rapid.SampledFrom([]string{"", "text/html", "*/*;q=0", "application/json;q=x", "application/*", ",,,", "\xff"}).Draw(t, "accept")
	},
	func(t *rapid.T, d *drawn) {
		d.header["Authorization"] = rapid.SampledFrom([]string{"", "Bearer", "Bearer iwk_", "Basic YTpi", "Bearer \xff", strings.Repeat("Bearer ", 100)}).Draw(t, "key")
	},
	func(t *rapid.T, d *drawn) {
		d.header["Content-Encoding"] = rapid.SampledFrom([]string{"gzip", "identity", "br", ""}).Draw(t, "encoding")
	},
	func(t *rapid.T, d *drawn) {
		d.path += rapid.SampledFrom([]string{"/", "//", "/..", "%00", "%2F", "%2e%2e", ":", "/redeliver", strings.Repeat("a", 3000), "ä", " ", "%"}).Draw(t, "path")
	},
	func(t *rapid.T, d *drawn) {
		at := rapid.IntRange(0, len(d.body)).Draw(t, "at")
		d.body = d.body[:at] + string(rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "bytes")) + d.body[at:]
	},
	func(t *rapid.T, d *drawn) { d.body = d.body[:rapid.IntRange(0, len(d.body)).Draw(t, "cut")] },
	func(t *rapid.T, d *drawn) {
		d.body = rapid.SampledFrom([]string{"", "null", "[", "{}{}", `{"token":"a","token":"b","method":"smart_id"}`, strings.Repeat(" ", maxBody+1), strings.Repeat("[", 11_000)}).Draw(t, "body")
	},
	func(_ *rapid.T, d *drawn) { d.body = fmt.Sprintf("%q", d.body) },
}
