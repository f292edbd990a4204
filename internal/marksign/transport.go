package marksign

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// newTransport makes a transport that stays small with many connections: 4 KiB
// of buffers each, and HTTP/1.1, where a slow answer holds up no other.
func newTransport(maxConns int) *http.Transport {
	if maxConns == 0 {
		maxConns = defaultMaxConns
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil, // never one from the environment
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConns:           maxConns,
		MaxIdleConnsPerHost:    maxConns,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         2 << 10,
		WriteBufferSize:        2 << 10,
	}
}

// What can be wrong before there is an answer to judge. They are the whole
// vocabulary: an error's own text may hold the URL.
const (
	faultToken     = "invalid token"
	faultMethod    = "invalid method"
	faultLocale    = "invalid locale"
	faultCanceled  = "canceled"
	faultTimeout   = "timed out"
	faultRefused   = "connection refused"
	faultReset     = "connection reset"
	faultClosed    = "connection closed"
	faultName      = "name not resolved"
	faultRoute     = "network unreachable"
	faultTLS       = "TLS failure"
	faultTransport = "transport failure" // anything else
	faultCut       = "answer cut short"
	faultOversized = "answer over 8 MiB"
	faultEncoding  = "answer in an encoding that was not offered"
	faultGzip      = "gzip that cannot be read"
)

// transportFault says what became of a request that has no answer.
func transportFault(ctx context.Context, err error) string {
	var timeout net.Error
	var name *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, context.Canceled):
		return faultCanceled
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return faultTimeout
	case errors.As(err, &name):
		return faultName
	case errors.As(err, &timeout) && timeout.Timeout():
		return faultTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return faultRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return faultReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return faultRoute
	case isTLS(err):
		return faultTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return faultClosed
	}
	return faultTransport
}

func isTLS(err error) bool {
	var (
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		alert   tls.AlertError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &verify) || errors.As(err, &alert) ||
		errors.As(err, &invalid) || errors.Is(err, http.ErrSchemeMismatch)
}
