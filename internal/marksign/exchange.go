package marksign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxBody is how much of an answer is read, in bytes. One with a certificate
// and some records is under 20 KiB.
const maxBody = 512 << 10

// maxKept is the capacity up to which a buffer is kept for the next answer.
const maxKept = 64 << 10

// buffers are those that bodies are read into.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func takeBuffer() *bytes.Buffer {
	return buffers.Get().(*bytes.Buffer)
}

func giveBuffer(buf *bytes.Buffer) {
	if buf.Cap() <= maxKept {
		buf.Reset()
		buffers.Put(buf)
	}
}

// reply is what came back of one request.
type reply struct {
	fault      string // why there is no answer to read; "" where there is one
	status     int    // HTTP's; 0 where no header came
	retryAfter time.Duration
	body       []byte // of the buffer, so gone with it
}

// exchange makes one request and reads its answer into buf. It calls the
// transport itself, as http.Client would follow redirects and put the URL, token
// included, into its errors.
func (c *Client) exchange(ctx context.Context, call call, target *url.URL, buf *bytes.Buffer) reply {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	res, err := c.transport.RoundTrip(c.newRequest(ctx, call, target))
	if err != nil {
		return reply{fault: transportFault(ctx, err)}
	}
	defer func() { _ = res.Body.Close() }()
	r := reply{
		status:     res.StatusCode,
		retryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now()),
	}
	r.body, r.fault = readBody(ctx, res, buf)
	return r
}

// readBody reads to the end, without which the connection is not kept.
func readBody(ctx context.Context, res *http.Response, buf *bytes.Buffer) (body []byte, fault string) {
	_, err := buf.ReadFrom(io.LimitReader(res.Body, maxBody+1))
	switch encoding := res.Header.Get("Content-Encoding"); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, faultCut
	case err != nil:
		return nil, transportFault(ctx, err)
	case buf.Len() > maxBody:
		return nil, faultOversized
	case encoding != "" && encoding != "identity":
		return nil, faultCompressed
	}
	return buf.Bytes(), ""
}
