package browsertest

import (
	"encoding/json"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys that are no letters, for Press.
const (
	Tab    = kb.Tab
	Enter  = kb.Enter
	Space  = " "
	Escape = kb.Escape
	Up     = kb.ArrowUp
	Down   = kb.ArrowDown
)

// Press presses keys one after the other, wherever the focus is.
func (p *Page) Press(keys ...string) {
	p.tb.Helper()
	for _, key := range keys {
		p.Do(chromedp.KeyEvent(key))
	}
}

// Click clicks on the first element that the selector finds, once it is there.
func (p *Page) Click(selector string) {
	p.tb.Helper()
	p.Do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// TabTo presses Tab until an element that the selector finds has the focus, as
// somebody without a mouse would. It fails where no Tab leads there.
func (p *Page) TabTo(selector string) {
	p.tb.Helper()
	const enough = 200
	for range enough {
		p.Press(Tab)
		if p.Focused(selector) {
			return
		}
	}
	p.tb.Fatalf("%d times Tab do not lead to %s", enough, selector)
}

// Focused reports whether the element that has the focus is one that the
// selector finds.
func (p *Page) Focused(selector string) bool {
	p.tb.Helper()
	return Eval[bool](p, `!!document.activeElement && document.activeElement.matches(`+quote(selector)+`)`)
}

// quote writes a text as JavaScript does.
func quote(text string) string {
	quoted, _ := json.Marshal(text) //nolint:errchkjson // a text always can
	return string(quoted)
}
