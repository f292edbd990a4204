package marksign

import (
	"bytes"
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/retryafter"
)

// maxBody is how much of an answer is read, in bytes, on the wire and decoded.
// One with a certificate and some records is under 20 KiB, but the lists of
// records can be long.
const maxBody = 8 << 20

const (
	// largeBody is the size from which an answer is large, in bytes.
	largeBody = 256 << 10
	// largeAnswers is how many large answers a client holds at once, so that its
	// memory does not grow with the number of polls. The others wait.
	largeAnswers = 4
)

const (
	// maxRetryAfter bounds what a server may ask for.
	maxRetryAfter = time.Hour
	// maxPollRetryAfter bounds it for polls: a person waits, and a final result
	// stays readable for minutes only.
	maxPollRetryAfter = 30 * time.Second
)

// maxKept is the capacity up to which a buffer is kept for the next answer.
const maxKept = 64 << 10

// buffers are those that bodies are read into.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// reply is what came back of one request.
type reply struct {
	fault      string // why there is no answer to read; "" if there is one
	status     int    // HTTP's; 0 if no header came
	retryAfter time.Duration
	body       []byte // of the buffer, so gone with it; with a fault its beginning, or nil
}

// exchange makes one request, reads its answer and hands it to judge; what judge
// keeps of the body it must copy. The transport is called directly, because
// http.Client would follow redirects and put the URL, token included, into its
// errors.
func (c *Client) exchange(ctx context.Context, call call, target *url.URL, judge func(reply)) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.transport.RoundTrip(c.newRequest(ctx, call, target))
	if err != nil {
		judge(reply{fault: transportFault(ctx, err)})
		return
	}
	defer func() { _ = res.Body.Close() }()
	body := newBodyReader(c.large)
	defer body.release()
	r := reply{
		status:     res.StatusCode,
		retryAfter: retryafter.Parse(res.Header.Get("Retry-After"), time.Now(), maxRetryAfter),
	}
	r.body, r.fault = body.read(ctx, res)
	judge(r)
}
