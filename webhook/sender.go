package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	defaultTimeout   = 15 * time.Second
	defaultMaxConns  = 64
	defaultUserAgent = "identwatch"
	maxResponse      = 64 << 10 // bytes of a response's body that are read, and of its headers
)

// SenderConfig is what a [Sender] needs. Only Signer has no default.
type SenderConfig struct {
	// Signer signs each request. Required.
	Signer *Signer
	// AllowHTTP allows plain http callbacks, and port 80.
	AllowHTTP bool
	// AllowNetworks are networks that callbacks may reach although they are not public, such as 10.0.0.0/8 or
	// 127.0.0.0/8. Link-local addresses and cloud metadata stay closed even if a network listed covers them.
	AllowNetworks []netip.Prefix
	// Closed reports addresses that no callback reaches, whatever AllowNetworks opens: what the program itself needs,
	// such as its Redis, and what it listens on. It is asked before each dial, concurrently, with an IPv4 address never
	// in its IPv6 form; nil closes nothing more.
	Closed func(netip.AddrPort) bool
	// Timeout bounds one attempt, from DNS to the end of the response; 0 is 15 s.
	Timeout time.Duration
	// MaxConns is how many idle connections are kept for later posts, to one host or to many; 0 is 64.
	MaxConns int
	// Transport replaces the guarded transport, and with it every check of what is dialled. For tests only.
	Transport http.RoundTripper
	// UserAgent is the User-Agent header; empty is "identwatch".
	UserAgent string
}

// validate returns all faults, joined.
func (c SenderConfig) validate() error {
	var faults []error
	if c.Signer == nil {
		faults = append(faults, errors.New("webhook: sender has no Signer"))
	}
	if c.Timeout < 0 {
		faults = append(faults, errors.New("webhook: sender has a negative Timeout"))
	}
	if c.MaxConns < 0 {
		faults = append(faults, errors.New("webhook: sender has a negative MaxConns"))
	}
	for _, network := range c.AllowNetworks {
		if !network.IsValid() || network.Addr().Is4In6() {
			faults = append(faults, errors.New("webhook: sender has a network in AllowNetworks that is invalid or IPv4-mapped"))
		}
	}
	if strings.ContainsFunc(c.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		faults = append(faults, errors.New("webhook: sender has a UserAgent that is not printable ASCII"))
	}
	return errors.Join(faults...)
}

// Sender posts events to callback URLs that it does not trust. It is safe for concurrent use.
//
// It logs nothing. But net/http quotes on the standard logger of package log what a receiver sends after its response,
// which may be the event: a program that posts personal data should discard that, as identwatch does.
type Sender struct {
	signer    *Signer
	guard     *guard
	transport http.RoundTripper
	fresh     http.RoundTripper // dials for each post
	timeout   time.Duration
	userAgent string
}

// NewSender returns a sender, or all faults of the configuration joined.
func NewSender(cfg SenderConfig) (*Sender, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Sender{
		signer:    cfg.Signer,
		guard:     newGuard(cfg.AllowNetworks, cfg.AllowHTTP, cfg.Closed),
		transport: cfg.Transport,
		fresh:     cfg.Transport,
		timeout:   cmp.Or(cfg.Timeout, defaultTimeout),
		userAgent: cmp.Or(cfg.UserAgent, defaultUserAgent),
	}
	if s.transport == nil {
		dial := newDialer(s.guard, s.timeout).DialContext
		s.transport = newTransport(dial, s.timeout, cmp.Or(cfg.MaxConns, defaultMaxConns))
		s.fresh = newTransport(dial, s.timeout, 0)
	}
	return s, nil
}

// Send signs the body now and posts it, within the sender's timeout or the context's end, whichever is first. It never
// returns an error: everything that can go wrong is a [Result]. The body must not be changed afterwards, because a
// connection that is being closed may still read it.
//
// It is one post, with one exception: if the receiver closes a kept connection in the moment it is used again, the
// event is posted once more, on a new connection, signed again under the same id. The first post is over then, and
// nothing was answered to it.
//
// The id is 1 to 256 visible ASCII characters, the same at every attempt; see [Signer.Sign] about '.'.
func (s *Sender) Send(ctx context.Context, callbackURL, id string, body []byte) Result {
	if s.CheckURL(callbackURL) != nil {
		return Result{Cause: CauseRules, Detail: "callback URL not allowed"}
	}
	if !validID(id) {
		return Result{Cause: CauseRules, Detail: "webhook-id not allowed"}
	}
	if ctx.Err() != nil {
		return Result{Cause: CauseHere, Detail: "no time was left for a post"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	result, again := s.post(ctx, s.transport, callbackURL, id, body)
	if again {
		result, _ = s.post(ctx, s.fresh, callbackURL, id, body)
	}
	return result
}

// post posts once. It reports whether the post may be repeated at once, because a kept connection was closed under it.
func (s *Sender) post(ctx context.Context, transport http.RoundTripper, callbackURL, id string, body []byte) (Result, bool) {
	var seen progress
	defer seen.end()
	req, err := http.NewRequestWithContext(seen.trace(ctx), http.MethodPost, callbackURL, bytes.NewReader(body))
	if err != nil {
		return Result{Cause: CauseRules, Detail: "callback URL not allowed"}, false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.userAgent)
	s.signer.Sign(req.Header, id, time.Now(), body)

	// Not an http.Client: it would follow redirects, and put the URL into its errors.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return seen.failure(ctx, err), seen.closedIdle(ctx, err)
	}
	discard(resp)
	return answered(resp), false
}

// discard reads a little of the body, so that the connection can be used again, and closes it. However the body goes,
// the answer was in the status.
func discard(resp *http.Response) {
	if resp.StatusCode != http.StatusSwitchingProtocols { // there the body is the connection, which has no deadline
		_, _ = io.CopyN(io.Discard, resp.Body, maxResponse)
	}
	_ = resp.Body.Close()
}
