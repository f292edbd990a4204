package marksim

import (
	"bytes"
	"io"
	"net/http"
)

// RoundTrip answers a client's request without a network, in its goroutine: it
// makes the Simulator an [http.RoundTripper], which works in a testing/synctest
// bubble. A dropped connection is io.EOF, and a cut body ends in
// io.ErrUnexpectedEOF, as with net/http's transport.
func (s *Simulator) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	rec := &recorder{header: http.Header{}}
	dropped := rec.serve(s, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if rec.status == 0 {
		return nil, io.EOF
	}
	var body io.Reader = &rec.body
	if dropped {
		body = io.MultiReader(body, cutOff{})
	}
	return &http.Response{
		Status: http.StatusText(rec.status), StatusCode: rec.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, Body: io.NopCloser(body), ContentLength: -1, Request: req,
	}, nil
}

// recorder is the ResponseWriter of a RoundTrip.
type recorder struct {
	header http.Header
	status int // 0 until there is a header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// serve reports whether the handler dropped the connection.
func (r *recorder) serve(h http.Handler, req *http.Request) (dropped bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != any(http.ErrAbortHandler) {
				panic(p)
			}
			dropped = true
		}
	}()
	h.ServeHTTP(r, req)
	return false
}

// cutOff is the end of a body that was cut.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
