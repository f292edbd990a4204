package marksign

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// byteOrderMark begins a text of some programs that write UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// bodyReader reads one answer. A large one takes one of a few slots first.
type bodyReader struct {
	buf     *bytes.Buffer
	slots   chan struct{}
	hasSlot bool
}

func newBodyReader(slots chan struct{}) *bodyReader {
	return &bodyReader{buf: buffers.Get().(*bytes.Buffer), slots: slots} //nolint:forcetypeassert // the pool holds nothing else
}

// release gives back what the reader took. The body is gone with it.
func (b *bodyReader) release() {
	if b.buf.Cap() <= maxKept {
		b.buf.Reset()
		buffers.Put(b.buf)
	}
	if b.hasSlot {
		<-b.slots
	}
}

// read reads to the end, without which the connection is not kept. What it
// returns has no byte order mark, and with a fault is the beginning alone. The wire
// is bounded like the body, because a compressed stream can be long and hold nothing.
func (b *bodyReader) read(ctx context.Context, res *http.Response) (body []byte, fault string) {
	wire := &io.LimitedReader{R: res.Body, N: maxBody + 1}
	content, err := decoded(res.Header, wire)
	if err != nil {
		return nil, bodyFault(ctx, err)
	}
	err = b.fill(ctx, content)
	body = bytes.TrimPrefix(b.buf.Bytes(), byteOrderMark)
	switch {
	case wire.N == 0, b.buf.Len() > maxBody:
		return body, faultOversized
	case err != nil:
		return body, bodyFault(ctx, err)
	}
	return body, ""
}

// fill reads at most one byte more than maxBody.
func (b *bodyReader) fill(ctx context.Context, content io.Reader) error {
	n, err := b.buf.ReadFrom(io.LimitReader(content, largeBody))
	if err != nil || n < largeBody {
		return err
	}
	select {
	case b.slots <- struct{}{}:
		b.hasSlot = true
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = b.buf.ReadFrom(io.LimitReader(content, maxBody+1-largeBody))
	return err
}

var errEncoding = errors.New("an encoding that is not decoded here")

// decoded is the content of a body. No encoding is offered, but an intermediary
// may send gzip all the same.
func decoded(header http.Header, wire io.Reader) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(strings.Join(header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return wire, nil
	case "gzip", "x-gzip":
		content, err := gzip.NewReader(wire)
		if errors.Is(err, io.EOF) {
			return wire, nil // there is no body
		}
		return content, err
	}
	return nil, errEncoding
}

// bodyFault says why a body could not be read.
func bodyFault(ctx context.Context, err error) string {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, errEncoding):
		return faultEncoding
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return faultGzip
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return faultCut
	}
	return transportFault(ctx, err)
}
