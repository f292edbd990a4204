package marksim

import (
	"net/http"
	"strconv"
	"time"
)

// Shared between answers, and never changed.
var (
	jsonType = []string{"application/json"}
	htmlType = []string{"text/html; charset=UTF-8"}
)

func (r reply) write(w http.ResponseWriter) {
	r.writeHeader(w)
	_, _ = w.Write(r.body)
}

// writeCut promises the whole body, sends half of it and closes the connection.
func (r reply) writeCut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	r.writeHeader(w)
	_, _ = w.Write(r.body[:len(r.body)/2])
	_ = http.NewResponseController(w).Flush()
	drop()
}

func (r reply) writeHeader(w http.ResponseWriter) {
	header := w.Header()
	header["Content-Type"] = jsonType
	if r.html {
		header["Content-Type"] = htmlType
	}
	if r.retryAfter > 0 {
		seconds := (r.retryAfter + time.Second - 1) / time.Second
		header["Retry-After"] = []string{strconv.FormatInt(int64(seconds), 10)}
	}
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
}
