package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/demo/desk"
	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/monitor"
)

// page is the server of the demonstration's pages, nil if there are none.
type page struct {
	server *httpd.Server
	taken  string // the address that it could not have
}

// openPage serves the pages that the options ask for.
func openPage(ctx context.Context, on *stage.Stage, asked Options, log *slog.Logger) (*page, error) {
	if asked.Listen == "" {
		return nil, nil //nolint:nilnil // no page is no failure
	}
	handler, err := pages(on) //nolint:contextcheck // each request brings its own
	if err != nil {
		return nil, err
	}
	p := &page{}
	opts := httpd.Options{Addr: asked.Listen, Handler: handler, Log: log}
	server, err := httpd.Start(ctx, opts)
	if asked.Elsewhere && errors.Is(err, syscall.EADDRINUSE) {
		p.taken = opts.Addr
		host, _, _ := net.SplitHostPort(opts.Addr)
		opts.Addr = net.JoinHostPort(host, "0")
		server, err = httpd.Start(ctx, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("opening --listen: %w", err)
	}
	p.server = server
	on.CloseToCallbacks(server.Addr())
	return p, nil
}

// pages are all that is on the server: the desk, and beside it what serve has on
// LISTEN, without a login, for this machine alone can reach it.
func pages(on *stage.Stage) (http.Handler, error) {
	handler, err := api.New(on.API())
	if err != nil {
		return nil, err
	}
	rest := http.NewServeMux()
	rest.Handle("GET /metrics", promhttp.HandlerFor(on.Metrics(), promhttp.HandlerOpts{}))
	rest.Handle(monitor.Path, monitor.New(monitor.Options{Redis: on.Redis(), Open: true}))
	rest.Handle("/v1/", handler)
	rest.Handle("/docs/", handler)
	return desk.New(on, desk.Options{Rest: rest, Links: []desk.Link{
		{Label: "Queues", Path: monitor.Path}, {Label: "API", Path: "/docs/"}, {Label: "Metrics", Path: "/metrics"},
	}}), nil
}

// line says where the page is.
func (p *page) line() string {
	if p == nil {
		return ""
	}
	line := "  page to try it on   " + p.server.URL() + "/"
	if p.taken != "" {
		line += " (" + p.taken + " is taken)"
	}
	return line + "\n"
}

func (p *page) close(ctx context.Context) {
	if p != nil {
		p.server.Stop(ctx, time.Second)
	}
}
