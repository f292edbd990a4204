package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL bounds a callback URL, in bytes.
const maxURL = 2048

// ErrAddress is what [Sender.CheckURL] says of a literal IP address that may not be dialled. It wraps it with the reason.
var ErrAddress = errors.New("webhook: callback URL has an address that is not allowed")

// CheckURL refuses a callback URL for what can be seen without DNS: it must be absolute, https (or http if that is allowed),
// have a host, no user, no fragment, port 443 or one above 1023 (80 too if http is allowed), and 2048 bytes at most; a
// literal IP address must be one that may be dialled. A name may still turn out to stand for an address that may not:
// that is found at each dial. The error says what is wrong and never quotes the URL.
func (s *Sender) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return errors.New("webhook: callback URL is longer than 2048 bytes")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("webhook: callback URL cannot be parsed")
	}
	switch {
	case u.Scheme == "":
		return errors.New("webhook: callback URL is not absolute")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("webhook: callback URL is not https")
	case u.Scheme == "http" && !s.guard.allowHTTP:
		return errors.New("webhook: callback URL is http, which is not allowed here")
	case u.Hostname() == "":
		return errors.New("webhook: callback URL has no host")
	case u.User != nil:
		return errors.New("webhook: callback URL has a user or password")
	case strings.Contains(raw, "#"):
		return errors.New("webhook: callback URL has a fragment")
	}
	return s.checkTarget(u)
}

// checkTarget checks the port, and the host if it is an address.
func (s *Sender) checkTarget(u *url.URL) error {
	port := uint16(443)
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || !s.guard.allowsPort(uint16(number)) {
			return errors.New("webhook: callback URL has a port that is not allowed: use 443, or one above 1023")
		}
		port = uint16(number)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err == nil { // else it is a name, whose addresses are checked when they are dialled
		return describeRefusal(s.guard.checkAddr(addr, port))
	}
	return nil
}

// describeRefusal says what to do about an address in a callback URL.
func describeRefusal(err error) error {
	switch {
	case errors.Is(err, errClosed):
		return fmt.Errorf("%w: link-local addresses, cloud metadata, and what the service itself needs or listens on stay closed", ErrAddress)
	case err != nil:
		return fmt.Errorf("%w: it is not public, so add its network to CALLBACK_ALLOW_NETWORKS or write another", ErrAddress)
	}
	return nil
}
