package marksign

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fields are those of an answer, each value as it came. Of a name that came
// twice the last counts, as in PHP and JavaScript.
type fields map[string]json.RawMessage

// decode returns nil where the body is no JSON object.
func decode(body []byte) fields {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil
	}
	return f
}

// status is the field of that name, which only counts as a string.
func (f fields) status() (status string, ok bool) {
	if raw := f["status"]; len(raw) > 0 && raw[0] == '"' {
		return text(raw)
	}
	return "", false
}

// text reads a string, or a whole number that was meant to be one. An absent
// field and null are "".
func text(raw json.RawMessage) (value string, ok bool) {
	switch {
	case len(raw) == 0, string(raw) == "null":
		return "", true
	case raw[0] == '"':
		err := json.Unmarshal(raw, &value)
		return value, err == nil
	case digits(string(raw)):
		return string(raw), true
	}
	return "", false
}

// maxCodeDigits is how long MarkSign's codes are. A longer number is something
// else, such as a personal code, and codes are logged.
const maxCodeDigits = 5

// errorCode is the field of that name, a number or a string of one; 0 where it
// is neither.
func errorCode(f fields) int {
	value, _ := text(f["error_code"])
	if !digits(value) || len(value) > maxCodeDigits {
		return 0
	}
	code, err := strconv.Atoi(value)
	if err != nil {
		return 0
	}
	return code
}

// message is the field of that name, as Answer.Message bounds it.
func message(f fields) string {
	value, _ := text(f["message"])
	if len(value) > maxMessage {
		value = value[:maxMessage]
	}
	return strings.ToValidUTF8(value, "") // the cut may have split a character
}

// newIdentity sorts the fields of an ok answer, from which both were read. It
// uses f up.
func newIdentity(said sayings, f fields) *Identity {
	id := &Identity{
		Name:        f.takeText("name"),
		Surname:     f.takeText("surname"),
		Code:        f.takeText("code"),
		Country:     f.takeText("country"),
		PEPs:        f.takeCheck(said, "peps_data"),
		Sanctions:   f.takeCheck(said, "sanctions_data"),
		Certificate: f.take("certificate"),
	}
	f.take("token")
	id.Upstream = f.object()
	return id
}

// take removes a field.
func (f fields) take(name string) json.RawMessage {
	raw := f[name]
	delete(f, name)
	return raw
}

// takeCheck removes the field of a check. One that came more than once
// contradicts itself: it becomes a list with a list around each value, which is
// no list of records, so that it is not clear, and nothing of it is dropped.
func (f fields) takeCheck(said sayings, name string) json.RawMessage {
	raw := f.take(name)
	values := said[name]
	if len(values) < 2 {
		return raw
	}
	return slices.Concat([]byte("[["), bytes.Join(values, []byte("],[")), []byte("]]"))
}

// sayings are all values that an ok answer has under the names that matter.
type sayings map[string][][]byte

// single are the names that must not say two things: they decide who was
// identified, and for which session.
var single = []string{"status", "token", "code", "name", "surname", "country", "certificate"}

// valuesOf reads an object once, from its beginning to its end.
func valuesOf(body []byte) sayings {
	said := sayings{}
	dec := json.NewDecoder(bytes.NewReader(body))
	if opening, err := dec.Token(); err != nil || opening != json.Delim('{') {
		return said
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return said
		}
		if name, _ := key.(string); name == "peps_data" || name == "sanctions_data" || slices.Contains(single, name) {
			said[name] = append(said[name], value)
		}
	}
	return said
}

// contradict reports whether a name that must not says two things.
func (said sayings) contradict() bool {
	return slices.ContainsFunc(single, func(name string) bool {
		values := said[name]
		return slices.ContainsFunc(values, func(value []byte) bool { return !bytes.Equal(value, values[0]) })
	})
}

// takeText removes a field if it can be read as text.
func (f fields) takeText(name string) string {
	value, ok := text(f[name])
	if ok {
		delete(f, name)
	}
	return value
}

// object puts the fields together again, by name. json.Marshal would compact
// the values and escape in them.
func (f fields) object() json.RawMessage {
	if len(f) == 0 {
		return nil
	}
	var b bytes.Buffer
	separator := byte('{')
	for _, name := range slices.Sorted(maps.Keys(f)) {
		quoted, err := json.Marshal(name)
		if err != nil {
			continue // cannot be: every string has a JSON form
		}
		b.WriteByte(separator)
		b.Write(quoted)
		b.WriteByte(':')
		b.Write(f[name])
		separator = ','
	}
	b.WriteByte('}')
	return b.Bytes()
}

// digits reports whether s is a number of nothing but digits.
func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
