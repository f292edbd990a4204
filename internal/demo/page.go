package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/identwatch/identwatch/internal/httpd"
)

// page is the server of the demonstration's pages, nil where there are none.
type page struct {
	server *httpd.Server
	taken  string // the address that it could not have
}

// openPage serves the pages that the options ask for.
func (d *demo) openPage(ctx context.Context, log *slog.Logger) (*page, error) {
	if d.opts.Page == nil {
		return nil, nil //nolint:nilnil // no page is no failure
	}
	handler, err := d.opts.Page(d.stage)
	if err != nil {
		return nil, err
	}
	p := &page{}
	opts := httpd.Options{Addr: d.opts.Listen, Handler: handler, Log: log}
	server, err := httpd.Start(ctx, opts)
	if d.opts.Elsewhere && errors.Is(err, syscall.EADDRINUSE) {
		p.taken = opts.Addr
		host, _, _ := net.SplitHostPort(opts.Addr)
		opts.Addr = net.JoinHostPort(host, "0")
		server, err = httpd.Start(ctx, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("opening --listen: %w", err)
	}
	p.server = server
	return p, nil
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
