package desk

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

// What is kept for the page: the newest.
const (
	keptHappenings = 200
	keptAttempts   = 20 // of each session
)

// happening is a line of the story, as the terminal has it.
type happening struct {
	Number  int       `json:"number"` // from 1
	At      time.Time `json:"at"`
	Session int       `json:"session"` // its number; 0 is of none
	Token   string    `json:"token"`
	What    string    `json:"what"`
	Detail  string    `json:"detail"`
}

// attempt is one request to the receiver, as it came.
type attempt struct {
	Token     string      `json:"token"`
	Number    int         `json:"number"` // of the session's requests, from 1
	At        time.Time   `json:"at"`
	Type      string      `json:"type"`
	Status    int         `json:"status"`   // the answer; 0 where the connection is closed instead
	DelayMS   int64       `json:"delay_ms"` // before it, in milliseconds
	Headers   [][2]string `json:"headers"`  // those that are signed first
	Body      string      `json:"body"`     // indented
	Bytes     int         `json:"bytes"`    // of the body as it came
	Verified  bool        `json:"verified"`
	Signature []signature `json:"signatures"`
}

// signature is one of a request's.
type signature struct {
	Version string `json:"version"`
	Valid   bool   `json:"valid"`
}

// watch puts into the feed what the demonstration tells.
func (d *desk) watch(c stage.Change) {
	if c.Step != stage.Refused {
		d.feed.put("session", c.Session.Token, c.Session)
	}
	if c.Step == stage.Posted {
		n := c.Session.Posts
		d.feed.put("attempt", attemptKey(c.Session.Token, n), newAttempt(d.stage.Verifier(), c.Delivery, c.Session))
		d.feed.drop("attempt", attemptKey(c.Session.Token, n-keptAttempts))
	}
	if c.Step == stage.Polled {
		return
	}
	what, detail := c.Describe()
	d.happenings++
	d.feed.put("happening", strconv.Itoa(d.happenings), happening{d.happenings, c.At, c.Session.Number, c.Session.Token, what, detail})
	d.feed.drop("happening", strconv.Itoa(d.happenings-keptHappenings))
}

func attemptKey(token string, n int) string { return token + " " + strconv.Itoa(n) }

func newAttempt(v webhook.Verifier, r receiver.Delivery, s stage.Session) attempt {
	var body bytes.Buffer
	_ = json.Indent(&body, r.Body, "", "  ") // it was parsed as an event
	return attempt{
		Token: s.Token, Number: s.Posts, At: r.At, Type: string(r.Event.Type), Status: r.Status, DelayMS: r.Delay.Milliseconds(),
		Headers: headers(r.Header), Body: body.String(), Bytes: len(r.Body),
		Verified: r.Fault == nil, Signature: signatures(v, r),
	}
}

// signed are the headers of a signature, in the order in which they are read.
var signed = []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature}

func headers(h http.Header) (list [][2]string) {
	for name, values := range h {
		for _, value := range values {
			list = append(list, [2]string{strings.ToLower(name), value})
		}
	}
	place := func(name string) int {
		if i := slices.Index(signed, name); i >= 0 {
			return i
		}
		return len(signed)
	}
	slices.SortFunc(list, func(a, b [2]string) int {
		if by := place(a[0]) - place(b[0]); by != 0 {
			return by
		}
		return strings.Compare(a[0]+a[1], b[0]+b[1])
	})
	return list
}

// signatures verifies each signature by itself, as a receiver would that has the
// one key alone.
func signatures(v webhook.Verifier, r receiver.Delivery) (list []signature) {
	for one := range strings.FieldsSeq(r.Header.Get(webhook.HeaderSignature)) {
		version, _, _ := strings.Cut(one, ",")
		header := r.Header.Clone()
		header.Set(webhook.HeaderSignature, one)
		list = append(list, signature{version, v.Verify(header, r.Body) == nil})
	}
	return list
}
