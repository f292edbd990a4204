package outcome

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// Result is a final outcome on its way to the receiver.
type Result struct {
	Type   string // of the event
	Reason string
	Polls  int
	Time   time.Time // the event's timestamp
	Body   []byte    // the event, as it is posted; personal data
	// Instructions are sealed with the event, and required then. Nil in an opened
	// result: an earlier release sealed the event alone.
	Instructions *Instructions
}

// String keeps the personal data out of logs.
func (r Result) String() string { return r.Type + " [redacted]" }

// GoString keeps the personal data out of logs.
func (r Result) GoString() string { return r.String() }

// Instructions are what the application said about the session when it enqueued
// it. They are sealed with the result, so that nobody who can write to Redis
// changes where a result is posted.
type Instructions struct {
	Account     string   `json:"account"`
	CallbackURL string   `json:"callback_url,omitempty"` // empty: what the worker is configured with
	Method      string   `json:"method"`
	Locale      string   `json:"locale,omitempty"`
	Reference   string   `json:"reference,omitempty"`
	Checks      []string `json:"checks,omitempty"`
}

// sealedHead is what a sealed result holds in front of its body.
type sealedHead struct {
	Type         string        `json:"type"`
	Reason       string        `json:"reason,omitempty"`
	Polls        int           `json:"polls"`
	Time         int64         `json:"time_ms"`
	Instructions *Instructions `json:"instructions"`
}

// headSize is the size of the number in front of the head: its length.
const headSize = 4

// encodeResult makes what is sealed: the length of the head, the head as JSON,
// and the body as it is posted.
func encodeResult(r Result) ([]byte, error) {
	if r.Instructions == nil {
		return nil, errors.New("a result without its session's instructions is not sealed")
	}
	head, err := json.Marshal(sealedHead{r.Type, r.Reason, r.Polls, r.Time.UnixMilli(), r.Instructions})
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, headSize+len(head)+len(r.Body))
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(head))) //nolint:gosec // a few kilobytes
	plain = append(plain, head...)
	return append(plain, r.Body...), nil
}

// decodeResult reads what encodeResult made.
func decodeResult(plain []byte) (Result, error) {
	if len(plain) < headSize {
		return Result{}, ErrSealTruncated
	}
	length := uint64(binary.BigEndian.Uint32(plain))
	rest := plain[headSize:]
	if length > uint64(len(rest)) {
		return Result{}, ErrSealTruncated
	}
	var head sealedHead
	if json.Unmarshal(rest[:length], &head) != nil || head.Instructions == nil {
		return Result{}, ErrSealBroken
	}
	return Result{
		Type: head.Type, Reason: head.Reason, Polls: head.Polls, Time: time.UnixMilli(head.Time).UTC(),
		Body: rest[length:], Instructions: head.Instructions,
	}, nil
}
