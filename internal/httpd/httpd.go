// Package httpd runs the HTTP servers of the commands: bound before anything
// else starts, with limits on what a client may take, and stopped gracefully.
//
// Read httpd.go (a server), conns.go (how many connections it takes), names.go (which host names it answers to).
package httpd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/identwatch/identwatch/internal/system"
)

// Server is an HTTP server that is listening.
type Server struct {
	http     *http.Server
	listener net.Listener
	conns    *conns
	done     chan struct{}
	err      error // once done is closed
}

// Options say what to serve.
type Options struct {
	Addr    string       // host:port; port 0 is any free one
	Handler http.Handler // required
	// WriteTimeout bounds the making and writing of an answer. Zero: no bound.
	WriteTimeout time.Duration
	// Log receives what the server has to complain of. Nil: nobody does.
	Log *slog.Logger

	maxConns int // zero: MaxConns of the files that the process may open
}

// Start opens the address and serves it in the background. It has at most
// [MaxConns] connections open at once.
func Start(ctx context.Context, opts Options) (*Server, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return nil, err
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	open := newConns(cmp.Or(opts.maxConns, MaxConns(system.Files())), log)
	s := &Server{
		http: &http.Server{
			Handler:           open.working(guarded(opts.Handler, log)),
			ConnState:         open.changed,
			ConnContext:       withConn,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       15 * time.Second,
			WriteTimeout:      opts.WriteTimeout,
			IdleTimeout:       30 * time.Second,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
		listener: listener,
		conns:    open,
		done:     make(chan struct{}),
	}
	go s.serve()
	return s, nil
}

// guarded keeps the text of a panic out of the log, where net/http would write
// it: it may be personal. The client gets no answer, as from net/http.
func guarded(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause != http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http tells it
				log.Error("a defect in identwatch", "panic", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r)
	})
}

func (s *Server) serve() {
	defer close(s.done)
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.err = err
	}
}

// Addr is where the server listens, with the port that it got.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the server's root, without a slash at the end, as this machine reaches it.
func (s *Server) URL() string { return "http://" + Reachable(s.Addr()) }

// Done is closed when the server listens no more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server ended by itself; nil while it serves, and where it
// was stopped.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop takes no more requests, lets those under way finish within the grace
// period, and cuts off the rest. A ctx that has ended makes no difference.
func (s *Server) Stop(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	<-s.done
}

// Reachable turns an address to listen on into one that this machine can dial:
// all addresses become the loopback one.
func Reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
