package marksign

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
)

// call is one of the two requests that the package makes.
type call int

const (
	statusCall call = iota
	removeCall
)

// segments are the methods in MarkSign's paths.
var segments = map[Method]string{SmartID: "smartid", MobileID: "mobile"}

// localePrefixes are the locales in MarkSign's paths; lt is its default.
var localePrefixes = map[string]string{"lt": "", "en": "/en"}

// target is the URL of a call, or says what about the session allows none:
//
//	[/en]/smartid/status/{token}.json     [/en]/mobile/status/{token}.json
//	[/en]/api/smartid/session/{token}     [/en]/api/mobile/session/{token}
//
// The token is escaped, and dots alone, which a server would resolve, are refused.
func (c *Client) target(call call, s Session) (target *url.URL, fault string) {
	segment, ok := segments[s.Method]
	if !ok {
		return nil, faultMethod
	}
	locale := s.Locale
	if locale == "" {
		locale = c.locale
	}
	prefix, ok := localePrefixes[locale]
	if !ok && locale != "" {
		return nil, faultLocale
	}
	if s.Token == "" || s.Token == "." || s.Token == ".." {
		return nil, faultToken
	}
	before, after := prefix+"/"+segment+"/status/", ".json"
	if call == removeCall {
		before, after = prefix+"/api/"+segment+"/session/", ""
	}
	u := c.base
	u.Path += before + s.Token + after
	u.RawPath += before + url.PathEscape(s.Token) + after
	return &u, ""
}

// newHeader makes the header that all requests of a call share. Compression is
// refused, so that the limit of a body on the wire is that of its content too.
func newHeader(call call) http.Header {
	header := http.Header{
		"Content-Type":    {"application/json"},
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"identwatch"},
	}
	if call == statusCall {
		// To net/http, an empty key says that the request may be sent again when
		// the server closed a kept connection under it; the key itself is not sent.
		header["Idempotency-Key"] = []string{}
	}
	return header
}

// newRequest makes the request of a call; its body is the access token.
func (c *Client) newRequest(ctx context.Context, call call, target *url.URL) *http.Request {
	body := *c.body.Load()
	req := http.Request{
		Method:        http.MethodPost,
		URL:           target,
		Header:        c.headers[call],
		ContentLength: int64(len(body)),
		Body:          newBody(body),
		GetBody:       func() (io.ReadCloser, error) { return newBody(body), nil },
	}
	if call == removeCall {
		req.Method = http.MethodDelete
	}
	return req.WithContext(ctx)
}

func newBody(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
