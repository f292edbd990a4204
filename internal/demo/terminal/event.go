package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

// signed are the headers that a receiver verifies.
var signed = [...]string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature}

// eventText is a request as the receiver got it: the signed headers and the body,
// indented. Unless it is to be full, long texts such as certificates are cut.
func eventText(d receiver.Delivery, full bool) string {
	var b strings.Builder
	for _, name := range signed {
		for _, value := range d.Header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, printable(value))
		}
	}
	var body bytes.Buffer
	if json.Indent(&body, d.Body, "", "  ") != nil {
		fmt.Fprintf(&b, "(%d bytes that are no JSON)\n", len(d.Body))
		return b.String()
	}
	text := body.String()
	if !full {
		text = longText.ReplaceAllStringFunc(text, cut)
	}
	return b.String() + text + "\n"
}

// longText is a JSON string of base64 that nobody reads.
var longText = regexp.MustCompile(`"[A-Za-z0-9+/=]{97,}"`)

const cutAfter = 48

func cut(text string) string {
	return fmt.Sprintf(`%s… (%d characters)"`, text[:1+cutAfter], len(text)-2)
}

// printable keeps what an unknown sender wrote from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
