package marksim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// identity is the ok answer of a session, in the order of the documented sample.
func (s *session) identity(d Dialect) []byte {
	answer := struct {
		Status      string          `json:"status"`
		Certificate certificate     `json:"certificate"`
		Code        string          `json:"code"`
		Country     string          `json:"country"`
		Name        string          `json:"name"`
		Surname     string          `json:"surname"`
		Token       string          `json:"token"`
		ControlCode string          `json:"control_code,omitempty"`
		Sanctions   json.RawMessage `json:"sanctions_data,omitempty"`
		PEPs        json.RawMessage `json:"peps_data,omitempty"`
	}{
		Status:      "ok",
		Certificate: newCertificate(s.person),
		Code:        s.person.Code,
		Country:     s.person.Country,
		Name:        s.person.Name,
		Surname:     s.person.Surname,
		Token:       s.token,
		Sanctions:   records(s.person.Sanctions, s.askedSanctions, d),
		PEPs:        records(s.person.PEPs, s.askedPEPs, d),
	}
	if s.method == MobileID {
		answer.ControlCode = s.controlCode
	}
	return phpJSON(answer)
}

// records is what a check found, or how the dialect says that it found nothing.
func records[R any](found []R, asked bool, d Dialect) json.RawMessage {
	switch {
	case !asked:
		return d.Unasked.raw()
	case len(found) == 0:
		return d.Clear.raw()
	}
	return mustJSON(found)
}

// phpJSON encodes as PHP does: with \/ for a slash, and \u for all that is not
// ASCII.
func phpJSON(v any) []byte {
	plain := mustJSON(v)
	out := make([]byte, 0, len(plain)+len(plain)/8)
	for len(plain) > 0 {
		r, size := utf8.DecodeRune(plain)
		switch {
		case r == '/':
			out = append(out, '\\', '/')
		case r < utf8.RuneSelf:
			out = append(out, plain[0])
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		plain = plain[size:]
	}
	return out
}

// mustJSON encodes values of this package's own types, which all have a JSON form.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("marksim: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
