package marksim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// Calls are kinds of calls. Several are joined with |; 0 is all of them.
type Calls uint8

// The kinds of calls.
const (
	StartCalls Calls = 1 << iota
	StatusCalls
	RemoveCalls
)

// call is one request: what it asks for, and of whom.
type call struct {
	kind   Calls
	method string // SmartID or MobileID
	token  string // "" with a start
	params params
}

// params are the body of a request. What a call does not know is ignored.
type params struct {
	AccessToken string  `json:"access_token"`
	Code        string  `json:"code"`
	Country     string  `json:"country"`
	Phone       string  `json:"phone"`
	Message     string  `json:"message"` // shown to the person; any text
	PEPs        bool    `json:"peps"`
	Sanctions   bool    `json:"sanctions"`
	Simulate    *script `json:"simulate"`

	// Of Mobile-ID alone.
	Language      string `json:"language"`       // "" is LIT
	MessageFormat string `json:"message_format"` // "" is GSM-7

	invalid bool // no JSON object, or a field of the wrong type
}

// script is what a start may ask of the simulator alone, for tests under load.
type script struct {
	AfterMS *int64  `json:"after_ms"` // milliseconds until the person acts
	Outcome Outcome `json:"outcome"`
}

// on changes how a person acts. It reports whether the script makes sense.
func (sc *script) on(p *Person) bool {
	if sc == nil {
		return true
	}
	if sc.Outcome != "" {
		if _, ok := outcomes[sc.Outcome]; !ok {
			return false
		}
		p.Outcome = sc.Outcome
	}
	if sc.AfterMS != nil {
		const maxMS = int64(24 * time.Hour / time.Millisecond)
		if *sc.AfterMS < 0 || *sc.AfterMS > maxMS {
			return false
		}
		p.AfterMin = time.Duration(*sc.AfterMS) * time.Millisecond
		p.AfterMax = p.AfterMin
	}
	return true
}

// segments are the methods in paths.
var segments = [...]struct{ method, segment string }{{SmartID, "smartid"}, {MobileID, "mobile"}}

// route finds out what a request asks for:
//
//	POST   [/en]/{segment}/login.json
//	POST   [/en]/{segment}/status/{token}.json
//	DELETE [/en]/api/{segment}/session/{token}
func route(r *http.Request) (call, bool) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/en/"); ok {
		path = "/" + rest
	}
	for _, s := range segments {
		kind, token := routeMethod(r.Method, path, s.segment)
		if kind != 0 {
			return call{kind: kind, method: s.method, token: token}, true
		}
	}
	return call{}, false
}

// routeMethod returns kind 0 where the path is none of the segment's.
func routeMethod(verb, path, segment string) (kind Calls, token string) {
	switch verb {
	case http.MethodPost:
		rest, ok := strings.CutPrefix(path, "/"+segment+"/")
		if !ok {
			return 0, ""
		}
		if rest == "login.json" {
			return StartCalls, ""
		}
		token, isStatus := strings.CutPrefix(rest, "status/")
		token, isJSON := strings.CutSuffix(token, ".json")
		if isStatus && isJSON && token != "" {
			return StatusCalls, token
		}
	case http.MethodDelete:
		token, ok := strings.CutPrefix(path, "/api/"+segment+"/session/")
		if ok && token != "" {
			return RemoveCalls, token
		}
	}
	return 0, ""
}

// maxRequest is how much of a request is read, in bytes.
const maxRequest = 64 << 10

// readParams reads the whole body, without which a server does not notice that
// its client is gone.
func readParams(r *http.Request) (p params) {
	if r.Body == nil {
		return params{invalid: true}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil || json.Unmarshal(body, &p) != nil {
		p.invalid = true
	}
	return p
}
