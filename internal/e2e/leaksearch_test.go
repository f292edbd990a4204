package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// leakSearch looks for texts that must not be seen, in every form that they
// might take on the way.
type leakSearch struct {
	forms map[string]string // what to look for, and what it would give away
}

func newLeakSearch() *leakSearch { return &leakSearch{make(map[string]string)} }

// minForm is the shortest form that is looked for: shorter ones come by chance.
const minForm = 8

// add adds a text, or the bytes of a key, under a name that may be shown.
func (l *leakSearch) add(name, secret string) {
	for form, text := range forms(secret) {
		if len(text) >= minForm {
			l.forms[text] = name + " (" + form + ")"
		}
	}
}

// find returns the names of what is in a text.
func (l *leakSearch) find(in []byte) []string {
	var found []string
	for text, name := range l.forms {
		if bytes.Contains(in, []byte(text)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// forms are the ways in which a text may be written down.
func forms(s string) map[string]string {
	f := map[string]string{
		"raw":           s,
		"lower case":    strings.ToLower(s),
		"upper case":    strings.ToUpper(s),
		"JSON":          unquoted(marshal(s, false)),
		"JSON for HTML": unquoted(marshal(s, true)),
		"JSON of PHP":   phpEscape(s),
		"Go":            unquoted(strconv.Quote(s)),
		"Go in ASCII":   unquoted(strconv.QuoteToASCII(s)),
		"URL query":     url.QueryEscape(s),
		"URL path":      url.PathEscape(s),
		"HTML":          html.EscapeString(s),
		"redis-cli":     redisEscape(s),
		"hex":           hex.EncodeToString([]byte(s)),
		"HEX":           strings.ToUpper(hex.EncodeToString([]byte(s))),
		"bytes":         strings.Trim(fmt.Sprintf("%d", []byte(s)), "[]"),
	}
	f["URL query in lower case"] = lowerEscapes(f["URL query"])
	f["URL path in lower case"] = lowerEscapes(f["URL path"])
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 for URLs": base64.RawURLEncoding} {
		for shift := range 3 {
			f[name+" shifted by "+strconv.Itoa(shift)] = within(encoding, s, shift)
		}
	}
	return f
}

// within is what a text looks like in the base64 of a longer one, where it
// begins so many bytes after a multiple of three: without the characters at both
// ends that depend on what is around it.
func within(encoding *base64.Encoding, s string, shift int) string {
	text := encoding.EncodeToString(append(make([]byte, shift), s...))
	from := []int{0, 2, 3}[shift]
	to := len(text)
	if (shift+len(s))%3 != 0 {
		to--
	}
	return text[from:max(from, to)]
}

func marshal(s string, forHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(forHTML)
	if err := e.Encode(s); err != nil {
		panic(err) // every string has a form in JSON
	}
	return strings.TrimSpace(b.String())
}

func unquoted(s string) string { return s[1 : len(s)-1] }

func phpEscape(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(unquoted(marshal(s, false)), "/", `\/`) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// redisEscape is how redis-cli and MONITOR show what is not ASCII.
func redisEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// lowerEscapes writes %C5 as %c5.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func TestLeakSearch_FindsEveryForm(t *testing.T) {
	t.Parallel()
	const secret = `Žydrūnė/O'Mark <"é">`
	search := newLeakSearch()
	search.add("the name", secret)
	plant := func(text string) []byte { return []byte("msg=\"all is well\" id=17 " + text + " and nothing else") }
	for form, text := range forms(secret) {
		if len(search.find(plant(text))) == 0 {
			t.Errorf("a leak as %s is not found", form)
		}
	}
	for before := range 7 {
		for after := range 4 {
			longer := []byte(strings.Repeat("x", before) + secret + strings.Repeat("y", after))
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				if len(search.find(plant(encoding.EncodeToString(longer)))) == 0 {
					t.Errorf("a leak in base64 with %d bytes before it and %d after is not found", before, after)
				}
			}
		}
	}
	quoted, err := json.Marshal(map[string]string{"name": secret})
	if err != nil {
		t.Fatal(err)
	}
	if len(search.find(plant(string(quoted)))) == 0 {
		t.Error("a leak in a JSON object is not found")
	}
	if found := search.find(plant("Žydrūnas, bWFyaw==, 4d61726b, %C5%BD")); len(found) > 0 {
		t.Errorf("found in a text that has none: %v", found)
	}
}
