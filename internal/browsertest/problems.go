package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// problems are what went wrong in a page.
type problems struct {
	expected []string

	mu   sync.Mutex
	urls map[network.RequestID]string
	list []string
}

func newProblems(expected []string) *problems {
	return &problems{expected: expected, urls: map[network.RequestID]string{}}
}

// listen is called for each event of the tab, in their order.
func (p *problems) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.add("exception: %s", thrown(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.add("console %s: %s", e.Type, said(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.add("browser's log: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.urls[e.RequestID] = e.Request.Method + " " + e.Request.URL
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			p.add("HTTP %d: %s", e.Response.Status, p.urls[e.RequestID])
		}
	case *network.EventLoadingFailed:
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			p.add("%s: %s", e.ErrorText, p.urls[e.RequestID])
		}
	}
}

// add is called with p locked.
func (p *problems) add(format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(problem, part) }) {
		p.list = append(p.list, problem)
	}
}

// report fails the test for each problem up to now.
func (p *problems) report(tb testing.TB) {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.list {
		tb.Errorf("in the page: %s", problem)
	}
}

func thrown(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

// said is what was written to the console.
func said(args []*runtime.RemoteObject) string {
	texts := make([]string, len(args))
	for i, arg := range args {
		texts[i] = arg.Description
		if arg.Description == "" {
			texts[i] = fmt.Sprint(arg.Value)
		}
	}
	return strings.Join(texts, " ")
}
