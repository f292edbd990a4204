// Package browsertest drives a headless Chromium in tests, as a person would: by
// key and mouse, and by what is to be seen on the page. Whatever goes wrong in
// the page fails its test, asked for or not: an exception, an error on the
// console, a request that failed. It is imported by tests alone.
//
// Read browsertest.go (the browser), page.go, person.go (what a person does), problems.go (what fails a test),
// accessible.go, picture.go.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser is a Chromium of the test's own. It is safe for concurrent use.
type Browser struct {
	ctx context.Context //nolint:containedctx // chromedp's way to hold a browser
}

// names are what Chromium is called on the PATH.
var names = [...]string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "headless-shell"}

// Available reports whether Chromium is on the PATH. In CI it must be.
func Available(tb testing.TB) bool {
	tb.Helper()
	return find(tb) != ""
}

func find(tb testing.TB) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		tb.Fatal("Chromium is not on the PATH, and in CI it is required")
	}
	return ""
}

// patience bounds everything that a browser is waited for, on a busy machine.
const patience = time.Minute

// Start starts a Chromium that lasts as long as the test and its subtests.
// Without one on the PATH the test is skipped.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	path := find(tb)
	if path == "" {
		tb.Skip("Chromium is not on the PATH")
	}
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(patience),
		chromedp.NoSandbox, // it opens our own pages alone, and the sandbox needs rights that CI has not
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
	}, chromedp.DefaultExecAllocatorOptions[:]...)
	allocated, free := chromedp.NewExecAllocator(context.Background(), opts...)
	tb.Cleanup(free)
	ctx, stop := chromedp.NewContext(allocated)
	tb.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("starting Chromium: %v", err)
	}
	return &Browser{ctx: ctx}
}
