package marksim

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
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
	return reply{body: sess.startAnswer(), kind: Started, short: "ok", started: sess.token}
}

// startAnswer has the fields that are documented for the method, in their order.
func (s *session) startAnswer() []byte {
	type common struct {
		Token       string `json:"token"`
		ControlCode string `json:"control_code"`
	}
	answer := common{s.token, s.controlCode}
	if s.method == SmartID {
		return phpJSON(struct {
			Status string `json:"status"`
			common
		}{"ok", answer})
	}
	return phpJSON(struct {
		Status      string      `json:"status"`
		Certificate certificate `json:"certificate"`
		Code        string      `json:"code"`
		common
	}{"ok", newCertificate(s.person), s.person.Code, answer})
}

// scripted is the person that a start asks for, or the error code that answers it.
func scripted(c call) (p Person, code int) {
	if c.params.invalid {
		return p, 40001
	}
	find := c.params.smartID
	if c.method == MobileID {
		find = c.params.mobileID
	}
	if p, code = find(); code == 0 && !c.params.Simulate.on(&p) {
		code = 40001
	}
	return p, code
}

// smartID takes a code of the country, both mandatory.
func (p params) smartID() (Person, int) {
	format, served := codeFormats[p.Country]
	switch {
	case !served:
		return Person{}, 40001
	case !format.MatchString(p.Code):
		return Person{}, 40005
	}
	if known, ok := personOf(p.Code, p.Country); ok {
		return known, 0
	}
	return somebody(p.Code, p.Country), 0
}

// mobileID takes a phone and a code, both mandatory, and no country: the phone's
// is as good as any for a person who is not in the catalogue.
func (p params) mobileID() (Person, int) {
	switch {
	case !slices.Contains([]string{"", "LIT", "ENG", "RUS", "EST"}, p.Language),
		!slices.Contains([]string{"", "GSM-7", "UCS-2"}, p.MessageFormat):
		return Person{}, 40001
	case !isCode(p.Code):
		return Person{}, 40005
	case !phoneFormat.MatchString(p.Phone):
		return Person{}, 40004
	}
	known, ok := personOf(p.Code, "")
	switch {
	case !ok:
		return somebody(p.Code, countryOf(p.Phone)), 0
	case known.Phone != "" && known.Phone != p.Phone:
		known.Outcome = UnknownAccount
	}
	return known, 0
}

// isCode reports whether a code is one of any country.
func isCode(code string) bool {
	for _, format := range codeFormats {
		if format.MatchString(code) {
			return true
		}
	}
	return false
}

func countryOf(phone string) string {
	switch number := strings.TrimPrefix(phone, "+"); {
	case strings.HasPrefix(number, "371"):
		return "LV"
	case strings.HasPrefix(number, "372"):
		return "EE"
	}
	return "LT"
}

// personOf is the person of the catalogue with this code, of any country if none
// is given.
func personOf(code, country string) (Person, bool) {
	plain := strings.ReplaceAll(code, "-", "")
	for _, p := range catalogue {
		if (p.Country == country || country == "") && strings.ReplaceAll(p.Code, "-", "") == plain {
			return p, true
		}
	}
	return Person{}, false
}

// somebody is invented, and confirms in 3 to 20 s.
func somebody(code, country string) Person {
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
