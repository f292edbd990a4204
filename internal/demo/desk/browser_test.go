package desk

import (
	"fmt"
	"slices"
	"testing"

	"github.com/identwatch/identwatch/internal/browsertest"
)

// One Chromium for all; each test has a demonstration of its own.
func TestDesk_InTheBrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	t.Run("tells a session's story to somebody without a mouse", func(t *testing.T) { t.Parallel(); tellStory(t, b) })
	t.Run("shows retries and the recovery", func(t *testing.T) { t.Parallel(); showRetries(t, b) })
	t.Run("shows what MarkSign's faults do", func(t *testing.T) { t.Parallel(); showFaults(t, b) })
	t.Run("gives the tick to those who passed alone", func(t *testing.T) { t.Parallel(); showVerdicts(t, b) })
	t.Run("fits a phone", func(t *testing.T) { t.Parallel(); fitPhone(t, b) })
	t.Run("keeps the focus and finds its way back", func(t *testing.T) { t.Parallel(); reconnect(t, b) })
}

// openDesk opens the page and waits until it knows what is so.
func openDesk(t *testing.T, b *browsertest.Browser, f *fixture, path string, opts browsertest.Options) *browsertest.Page {
	t.Helper()
	p := b.Open(t, f.url+path, opts)
	p.WaitText("#connection", "live")
	return p
}

// startByKeyboard starts a session that waits for the page to decide.
func startByKeyboard(p *browsertest.Page, number string) {
	p.TabTo("#start-form button")
	p.Press(browsertest.Enter)
	p.WaitText("#session-title", "Session "+number+": ")
	p.Wait("the focus on the new session", `document.activeElement.id === "session-title"`)
	p.Wait("the control code", `/^\d{4}$/.test(document.querySelector("#phone-code").innerText)`)
}

func confirm(p *browsertest.Page) {
	p.TabTo("[data-decision=confirm]")
	p.Press(browsertest.Enter)
	p.WaitText("#phone-said", "Confirmed")
}

// photograph makes a picture for the README, without the mark of the focus.
func photograph(p *browsertest.Page, name string) {
	browsertest.Eval[bool](p, "document.activeElement.blur(), true")
	p.Screenshot(name)
}

func tellStory(t *testing.T, b *browsertest.Browser) {
	links := []Link{{"Queues", "/monitor/"}, {"API", "/docs/"}, {"Metrics", "/metrics"}}
	f := run(t, 6, Options{Links: links})
	p := openDesk(t, b, f, "/", browsertest.Options{})
	p.Wait("the sessions of the terminal, all but one to their end", `document.querySelectorAll("#session-list [data-verdict]").length >= 5`)
	p.TabTo("#person")
	p.Press("S", "E", "I") // a politically exposed person
	startByKeyboard(p, "7")
	p.WaitText("#journey [data-stage=polled]", "poll")
	confirm(p)
	if !p.Focused("[data-decision=confirm]") {
		t.Error("the button that was pressed lost the focus")
	}
	p.WaitText("#attempts summary", "answered 204")
	p.WaitText("#attempts .signature", "Signature verified")
	p.WaitText("#attempts .signature", "v1 HMAC-SHA256, with the shared secret: matches")
	p.WaitText("#attempts .signature", "v1a Ed25519, with the public key: matches")
	p.WaitText("#attempts .headers", "webhook-signature")
	p.WaitText("#attempts pre", `"surname": "NESANTYSIS"`)
	p.WaitText("#journey [data-stage=removed]", "after the event")
	p.WaitText("#session-state", "identified, PEP")
	p.Wait("the story for a screen reader", `document.querySelector("#announcer").textContent.includes("Session 7 removed")`)
	photograph(p, "desk-light")
	p.Accessible()

	p.TabTo("#attempts .cut")
	p.Press(browsertest.Enter)
	p.Wait("the whole certificate", `document.activeElement.getAttribute("aria-expanded") === "true" && document.querySelector("#attempts pre").innerText.length > 2000`)
}

func showRetries(t *testing.T, b *browsertest.Browser) {
	f := run(t, 4, Options{})
	// On a slow machine an attempt may be due by itself before the button is
	// pressed, which then has nothing to post: 409.
	p := openDesk(t, b, f, "/", browsertest.Options{Dark: true, Expect: []string{"409"}})
	p.TabTo("[name=receiver]")
	p.Press(browsertest.Down)
	p.Wait("the choice", `document.activeElement.value === "error" && document.activeElement.checked`)
	startByKeyboard(p, "5")
	confirm(p)
	p.WaitText("#attempts summary", "Attempt 1")
	p.WaitText("#journey [data-stage=posted]", "The next comes in")
	p.WaitText("#session-state", "posted again in")
	photograph(p, "desk-dark")
	p.Accessible()

	p.Click("[name=receiver][value=well]")
	p.TabTo("#post-now")
	p.Press(browsertest.Enter)
	p.WaitText("#attempts summary", "Attempt 2")
	p.WaitText("#journey [data-stage=posted]", "delivered at")
	p.WaitText("#journey [data-stage=removed]", "after the event")
	if !p.Focused("#post-now") {
		t.Error("the button that was pressed lost the focus")
	}
	ids := browsertest.Eval[[]string](p, `[...document.querySelectorAll(".signature dd")].map(d => d.textContent).filter(t => t.startsWith("evt_"))`)
	if len(ids) < 2 || len(slices.Compact(ids)) != 1 {
		t.Errorf("the attempts have the ids %q, want one", ids)
	}
}

func showFaults(t *testing.T, b *browsertest.Browser) {
	f := run(t, 0, Options{})
	p := openDesk(t, b, f, "/", browsertest.Options{})
	p.WaitText("#session", "No session is chosen")
	p.Accessible()
	startByKeyboard(p, "1")
	p.Click("[name=marksign][value=down]")
	p.WaitText("#session-state", "MarkSign: outage")
	p.WaitText("#story", "1 trouble")
	p.Click("[name=marksign][value=well]")
	p.WaitText("#session-state", "waiting for the person")
	p.Click("[data-decision=walk_away]")
	p.WaitText("#phone-said", "Left alone")
	p.WaitText("#session-state", "expired")
	p.Click("[name=receiver][value=gone]")
	startByKeyboard(p, "2")
	confirm(p)
	p.WaitText("#attempts summary", "answered 410")
	p.WaitText("#session-state", "given up, removed")
}

// showVerdicts: a green tick means "passed" to everybody. Each other outcome has another sign, and words beside it.
func showVerdicts(t *testing.T, b *browsertest.Browser) {
	f := run(t, 9, Options{})
	for _, opts := range []browsertest.Options{{Width: 1280}, {Width: 1280, Dark: true}, {Width: 390, Height: 844}, {Width: 390, Height: 844, Dark: true}} {
		p := openDesk(t, b, f, "/", opts)
		p.Wait("every session's outcome", `document.querySelectorAll("#session-list [data-verdict]").length === 9`)
		signs := browsertest.Eval[map[string][]string](p, `Object.fromEntries([...document.querySelectorAll("#session-list [data-verdict]")].map((li) =>
			[li.querySelector(".state").textContent, [li.querySelector("use").getAttribute("href"), getComputedStyle(li.querySelector(".icon")).color]]))`)
		for words, sign := range map[string]string{
			"identified": "#i-done", "identified, PEP": "#i-hit", "identified, sanctions": "#i-hit",
			"refused": "#i-refused", "expired": "#i-expired",
		} {
			if len(signs[words]) != 2 || signs[words][0] != sign {
				t.Errorf("%q has the sign %v, want %s", words, signs[words], sign)
			}
			if words != "identified" && len(signs[words]) == 2 && signs[words][1] == signs["identified"][1] {
				t.Errorf("%q has the colour of those who passed", words)
			}
		}
		for words, sign := range signs {
			if words != "identified" && sign[0] == "#i-done" {
				t.Errorf("%q has the tick of those who passed", words)
			}
		}
		p.Accessible()
		p.Screenshot(fmt.Sprintf("desk-verdicts-%d-%t", opts.Width, opts.Dark))
	}
}

func fitPhone(t *testing.T, b *browsertest.Browser) {
	f := run(t, 1, Options{})
	p := openDesk(t, b, f, "/", browsertest.Options{Width: 360, Height: 740, Dark: true})
	p.WaitText("#attempts .signature", "Signature verified")
	if wide := browsertest.Eval[int](p, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("the page is %d pixels wide", wide)
	}
	browsertest.Eval[bool](p, `document.querySelector("#session-title").scrollIntoView(), true`)
	p.Screenshot("desk-phone")
}

func reconnect(t *testing.T, b *browsertest.Browser) {
	f := run(t, 0, Options{})
	p := openDesk(t, b, f, "/", browsertest.Options{})
	other := openDesk(t, b, f, "/", browsertest.Options{})
	startByKeyboard(p, "1")
	other.WaitText("#session-list", "waiting for the person")
	p.TabTo("[data-decision=refuse]")
	browsertest.Eval[bool](p, `Object.defineProperty(document, "hidden", {value: true, configurable: true}) && document.dispatchEvent(new Event("visibilitychange"))`)
	other.Click("[data-decision=confirm]")
	other.WaitText("#journey [data-stage=removed]", "after the event")
	if browsertest.Eval[bool](p, `document.querySelector("#journey").innerText.includes("after the event")`) {
		t.Error("a tab that nobody sees is brought up to date")
	}
	browsertest.Eval[bool](p, `delete document.hidden && document.dispatchEvent(new Event("visibilitychange"))`)
	p.WaitText("#journey [data-stage=removed]", "after the event")
	if !p.Focused("[data-decision=refuse]") {
		t.Error("the focus is elsewhere")
	}
}
