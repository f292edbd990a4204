package marksign

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Method is the means of identification that a session was started with.
type Method string

// The methods that MarkSign offers.
const (
	SmartID  Method = "smart_id"
	MobileID Method = "mobile_id"
)

// Session names one identification session at MarkSign.
type Session struct {
	Token  string // as start returned it; not empty, "." or ".."
	Method Method
	Locale string // of MarkSign's messages, "lt" or "en"; "" is the client's default
}

const (
	defaultMaxConns = 64
	defaultTimeout  = 10 * time.Second
)

// Config says where MarkSign is and how to talk to it. It prints as [redacted].
type Config struct {
	redacted

	// BaseURL is where the API is, such as https://api.marksign.eu. The scheme
	// is http or https; a path prefix and a trailing slash are allowed, user
	// information, query and fragment are not. Required.
	BaseURL string

	// AccessToken goes into the body of every call. Required.
	AccessToken string

	// Locale is that of sessions which name none: "lt" or "en"; "" is "lt".
	Locale string

	// MaxConns is how many idle connections are kept open, which is best the
	// number of concurrent calls. 0 is 64. Not used with a Transport.
	MaxConns int

	// Timeout is the total time of one call, from dialling to the last byte of
	// the answer. 0 is 10 s.
	Timeout time.Duration

	// Transport makes the exchanges; tests set it. It must not follow redirects
	// (a RoundTripper does not). nil is an HTTP/1.1 transport of the client's own.
	Transport http.RoundTripper
}

// Client calls MarkSign. It is safe for concurrent use, and prints as [redacted].
type Client struct {
	redacted

	base      url.URL                // without a trailing slash
	locale    string                 // the default
	body      atomic.Pointer[[]byte] // of every request
	headers   [2]http.Header         // by call; read only
	timeout   time.Duration
	transport http.RoundTripper
	large     chan struct{} // a slot for each large answer in memory
}

// New checks cfg as a whole. Its error names every field at fault, and no value.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err := errors.Join(err, cfg.check()); err != nil {
		return nil, err
	}
	c := &Client{
		base:      base,
		locale:    cfg.Locale,
		headers:   [2]http.Header{newHeader(statusCall), newHeader(removeCall)},
		timeout:   cfg.Timeout,
		transport: cfg.Transport,
		large:     make(chan struct{}, largeAnswers),
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.transport == nil {
		c.transport = newTransport(cfg.MaxConns)
	}
	return c, c.SetAccessToken(cfg.AccessToken)
}

// SetAccessToken changes what later calls carry; those under way keep the old
// token. The error says that it is empty or no text, and then nothing is changed.
func (c *Client) SetAccessToken(token string) error {
	if err := checkAccessToken(token); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"access_token": token})
	if err != nil {
		return errors.New("marksign: AccessToken cannot be encoded")
	}
	c.body.Store(&body)
	return nil
}

func checkAccessToken(token string) error {
	if strings.TrimSpace(token) == "" || !utf8.ValidString(token) {
		return errors.New("marksign: AccessToken must be set, and text")
	}
	return nil
}

// check says what is wrong with every field but BaseURL.
func (cfg Config) check() error {
	var faults []error
	if err := checkAccessToken(cfg.AccessToken); err != nil {
		faults = append(faults, err)
	}
	if _, ok := localePrefixes[cfg.Locale]; !ok && cfg.Locale != "" {
		faults = append(faults, errors.New(`marksign: Locale must be "lt" or "en"`))
	}
	if cfg.MaxConns < 0 {
		faults = append(faults, errors.New("marksign: MaxConns must not be negative"))
	}
	if cfg.Timeout < 0 {
		faults = append(faults, errors.New("marksign: Timeout must not be negative"))
	}
	return errors.Join(faults...)
}

// parseBase returns the base URL without its trailing slash. The error does not
// repeat the URL, which may hold a password by mistake.
func parseBase(raw string) (url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return url.URL{}, errors.New("marksign: BaseURL must be an http or https URL with a host")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return url.URL{}, errors.New("marksign: BaseURL must have no user, query or fragment")
	}
	path, escaped := strings.TrimRight(u.Path, "/"), strings.TrimRight(u.EscapedPath(), "/")
	return url.URL{Scheme: u.Scheme, Host: u.Host, Path: path, RawPath: escaped}, nil
}

// Status asks once how the session stands. Every failure is an answer; the zero
// [Answer] is pending.
func (c *Client) Status(ctx context.Context, s Session) (a Answer) {
	target, fault := c.target(statusCall, s)
	if fault != "" {
		return temporary(fault)
	}
	c.exchange(ctx, statusCall, target, func(r reply) { a = statusAnswer(r, s.Token) })
	return a
}

// Remove asks MarkSign once to delete the session and what it holds.
func (c *Client) Remove(ctx context.Context, s Session) (a RemoveAnswer) {
	target, fault := c.target(removeCall, s)
	if fault != "" {
		return RemoveAnswer{Verdict: RemoveTemporary, Detail: fault}
	}
	c.exchange(ctx, removeCall, target, func(r reply) { a = removeAnswer(r) })
	return a
}
