package browsertest

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write screenshots of pages into this `directory`")

// Options say how a page is looked at. The zero value is a laptop in the light.
type Options struct {
	Width, Height int  // in CSS pixels; 0 is 1280 and 800
	Dark          bool // the person's color scheme

	// Expect are parts of what may go wrong in the page because the test brings
	// it about.
	Expect []string
}

// Page is a tab of its own, with cookies and storage of its own. Its methods
// fail the test rather than return an error. It is for one goroutine.
type Page struct {
	tb       testing.TB
	ctx      context.Context //nolint:containedctx // chromedp's way to hold a tab
	problems *problems
}

// Open opens a page and waits until it is loaded. It is closed when the test
// ends, which fails if anything went wrong in it.
func (b *Browser) Open(tb testing.TB, url string, opts Options) *Page {
	tb.Helper()
	p := &Page{tb: tb, problems: newProblems(opts.Expect)}
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.problems.listen))
	p.ctx = ctx
	tb.Cleanup(func() {
		p.photographFailure()
		p.problems.report(tb)
		closeTab()
	})
	if err := chromedp.Do(ctx); err != nil { // without a limit: what ends its context ends the tab
		tb.Fatalf("opening a tab: %v", err)
	}
	p.Do(look(opts), chromedp.Navigate(url))
	return p
}

// look sets the size, and the person's wishes. Nothing moves, so that pictures
// are the same each time.
func look(opts Options) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if opts.Dark {
		scheme = "dark"
	}
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: int64(cmp.Or(opts.Width, 1280)), Height: int64(cmp.Or(opts.Height, 800)), DeviceScaleFactor: 1,
		})
		return err
	})
}

// Do runs actions of chromedp's.
func (p *Page) Do(actions ...chromedp.Action[chromedp.Void]) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.tb.Fatalf("driving the page: %v", err)
	}
}

// Eval returns the value of a JavaScript expression, awaited where it is a
// promise. The page's content security policy does not bind it.
func Eval[T any](p *Page, expression string) T {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.tb.Fatalf("evaluating %.100s: %v", expression, err)
	}
	return value
}

// Wait waits until a JavaScript expression is true. What it waits for is said
// where it waits in vain.
func (p *Page) Wait(what, expression string) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if yes {
			return
		}
		if _, thrown := errors.AsType[*chromedp.ExceptionError](err); err != nil && !thrown {
			p.tb.Fatalf("waiting for %s: %v; the page says:\n%s", what, err, p.text())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.tb.Fatalf("waited in vain for %s; the page says:\n%s", what, p.text())
		}
	}
}

// WaitText waits until an element that the selector finds is to be seen with the
// text in it.
func (p *Page) WaitText(selector, text string) {
	p.tb.Helper()
	p.Wait(text+" in "+selector, `[...document.querySelectorAll(`+quote(selector)+`)].some(e => e.checkVisibility() && e.innerText.includes(`+quote(text)+`))`)
}

// text is what is to be seen of the page, for a test that fails.
func (p *Page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return text
}

// Screenshot writes what is to be seen as a PNG into the directory that the flag
// -screenshots names; without the flag it does nothing.
func (p *Page) Screenshot(name string) {
	p.tb.Helper()
	if *screenshots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		picture, err = smaller(picture)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644) //nolint:gosec // a picture of invented persons
	}
	if err != nil {
		p.tb.Errorf("taking a screenshot: %v", err)
	}
}

// photographFailure shows what a test that failed had before it.
func (p *Page) photographFailure() {
	if p.tb.Failed() && p.ctx.Err() == nil {
		p.Screenshot("failed-" + strings.ReplaceAll(p.tb.Name(), "/", "-"))
	}
}
