package marksim

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

var (
	phoneFormat = regexp.MustCompile(`^\+?[0-9]{8,15}$`)

	// codeFormats are the personal codes of the countries that MarkSign serves.
	codeFormats = map[string]*regexp.Regexp{
		"LT": regexp.MustCompile(`^[0-9]{11}$`),
		"LV": regexp.MustCompile(`^[0-9]{6}-?[0-9]{5}$`),
		"EE": regexp.MustCompile(`^[0-9]{11}$`),
	}
)

// start makes a session for the person with the given code. n is which start
// this is.
func (s *Simulator) start(c call, n uint64) reply {
	person, code := scripted(c)
	if code != 0 {
		return failure(StartRefused, code, s.opts.Dialect)
	}
	sess := &session{
		token:          token(s.dice(n, "token")),
		method:         c.method,
		person:         person,
		askedPEPs:      c.params.PEPs,
		askedSanctions: c.params.Sanctions,
	}
	if !s.add(sess) {
		return failure(StartRefused, 50000, s.opts.Dialect)
	}
	body := phpJSON(struct {
		Status      string `json:"status"`
		Token       string `json:"token"`
		ControlCode string `json:"control_code"`
	}{"ok", sess.token, sess.controlCode})
	return reply{body: body, kind: Started, short: "ok", started: sess.token}
}

// scripted is the person that a start asks for, or the error code that answers it.
func scripted(c call) (p Person, code int) {
	format, ok := codeFormats[c.params.Country]
	switch {
	case c.params.invalid || !ok:
		return p, 40001
	case !format.MatchString(c.params.Code):
		return p, 40005
	case c.method == MobileID && !phoneFormat.MatchString(c.params.Phone):
		return p, 40004
	}
	p = personOf(c.params.Code, c.params.Country)
	if c.method == MobileID && p.Phone != "" && p.Phone != c.params.Phone {
		p.Outcome = UnknownAccount
	}
	if !c.params.Simulate.on(&p) {
		return p, 40001
	}
	return p, 0
}

// personOf is the person of the catalogue with this code, or else an invented
// one who confirms in 3 to 20 s.
func personOf(code, country string) Person {
	plain := strings.ReplaceAll(code, "-", "")
	for _, p := range catalogue {
		if p.Country == country && strings.ReplaceAll(p.Code, "-", "") == plain {
			return p
		}
	}
	return Person{
		Name: "VARDENIS", Surname: "PAVARDENIS", Code: code, Country: country,
		AfterMin: 3 * time.Second, AfterMax: 20 * time.Second,
	}
}

// token looks as MarkSign's do.
func token(dice *rand.Rand) string {
	a, b := dice.Uint64(), dice.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}
