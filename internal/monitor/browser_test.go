package monitor

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/browsertest"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// visit is a page of the monitor that an operator has logged in to.
type visit struct {
	*browsertest.Page
	t    *testing.T
	root string // the URL of Path
	kind string // of Redis, which the names of screenshots begin with
}

// open logs in as a person does, by name and password, and shows the queues.
func open(t *testing.T, b *browsertest.Browser, rdb *redis.Client, write bool, look browsertest.Options) *visit {
	t.Helper()
	server := httptest.NewServer(mounted(Options{Redis: rdb, Write: write}))
	t.Cleanup(server.Close)
	login := strings.Replace(server.URL, "http://", "http://"+url.UserPassword(user, password).String()+"@", 1)
	v := &visit{b.Open(t, login+Path, look), t, server.URL + Path, strings.Split(t.Name(), "/")[1] + "-"}
	v.show("") // without the password in the address
	return v
}

// show goes to a path by the address bar.
func (v *visit) show(path string) {
	v.t.Helper()
	v.Do(chromedp.Navigate(v.root + path))
}

// press clicks on the control with that name, or that begins with it.
func (v *visit) press(name string) {
	v.t.Helper()
	control := `[...document.querySelectorAll("a, button, [role=button], tr[class*=clickable], .MuiTableRow-root:not(:has(a))")].find(e => e.checkVisibility() && (e.title || e.ariaLabel || e.innerText).trim().startsWith("` + name + `"))`
	v.Wait("the control "+name, control)
	browsertest.Eval[bool](v.Page, control+".click() || true")
}

// onlyLooks fails where the page has something to change tasks or queues with.
func (v *visit) onlyLooks() {
	v.t.Helper()
	for _, what := range browsertest.Eval[[]string](v.Page, controlsThatChange) {
		v.t.Errorf("a control that changes something is shown: %s", what)
	}
}

const controlsThatChange = `[...document.querySelectorAll("input[type=checkbox], th, button, [role=menuitem]")]
	.map(e => e.type === "checkbox" ? "a check box" : e.title || e.ariaLabel || e.innerText)
	.filter(name => /check box|Actions|Delete|Archive|Run|Cancel|Pause|Resume/.test(name))`

func TestBrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	t.Run("embedded", func(t *testing.T) { // as `identwatch dev` has it
		t.Parallel()
		rdb, m := redistest.Embedded()
		t.Cleanup(func() { _ = rdb.Close(); m.Close() })
		newStage(t, rdb)
		showsEveryPage(open(t, b, rdb, false, browsertest.Options{}))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		rdb := redistest.Start(t).Client()
		s := newStage(t, rdb)
		v := open(t, b, rdb, false, browsertest.Options{})
		showsEveryPage(v)
		comesBack(v)
		runsATask(s, open(t, b, rdb, true, browsertest.Options{Dark: true}))
	})
}

// showsEveryPage goes through the pages as an operator does, by their controls.
func showsEveryPage(v *visit) {
	v.t.Helper()
	v.WaitText("table", queue.Remove)
	v.onlyLooks()
	v.Screenshot(v.kind + "queues")
	v.press(queue.Follow)
	for _, tab := range []struct{ name, text string }{
		{"Pending", "default:in"},
		{"Scheduled", "default:planned"},
		{"Retry", "default:followed"},
		{"Archived", "default:put.away"},
		{"Aggregating", "No aggregating tasks"},
		{"Active", "No active tasks"},
		{"Completed", "default:confirmed"},
	} {
		v.press(tab.name)
		v.WaitText("main", tab.text)
		v.onlyLooks()
		v.Screenshot(v.kind + "follow-" + strings.ToLower(tab.name))
	}
	v.press("default:confirmed")
	v.WaitText("main", `"outcome"`)
	v.onlyLooks()
	v.Screenshot(v.kind + "task")
	for _, link := range []struct{ name, text string }{
		{"Servers", "1/"},
		{"Schedulers", "No entries found"},
		{"Redis", "connected_clients"},
		{"Settings", "Polling Interval"},
		{"Queues", queue.Deliver},
	} {
		v.press(link.name)
		v.WaitText("main", link.text)
		v.onlyLooks()
		v.Screenshot(v.kind + strings.ToLower(link.name))
	}
}

// comesBack goes to pages by their addresses, as by a bookmark or a reload.
func comesBack(v *visit) {
	v.t.Helper()
	for _, page := range []struct{ path, text string }{
		{"queues/identwatch-follow?status=retry", "default:followed"},
		{"queues/identwatch-follow?status=archived", "default:put.away"},
		{"queues/identwatch-deliver?status=scheduled", "default:undelivered"},
		{"queues/identwatch-remove", "No active tasks"},
		{"queues/others?status=active", "at"},
		{"queues/others/tasks/at-work", "onerror=alert(1)"},
		{"queues/identwatch-follow/tasks/default:put.away", "archived"},
		{"queues/identwatch-deliver/tasks/default:undelivered", "order-1842"},
		{"servers", queue.Follow},
		{"schedulers", "No entries found"},
		{"redis", "connected_clients"},
		{"settings", "Dark Theme"},
		{"nothing", "Page Not Found"},
	} {
		v.show(page.path)
		v.WaitText("main", page.text)
		v.onlyLooks()
	}
	v.show("queues/identwatch-deliver?status=scheduled")
	v.Do(chromedp.Reload())
	v.WaitText("main", "default:undelivered")
}

// runsATask presses a button of the page that may write.
func runsATask(s *stage, v *visit) {
	v.t.Helper()
	v.show("queues/identwatch-follow?status=archived")
	v.WaitText("main", "default:put.away")
	if controls := browsertest.Eval[[]string](v.Page, controlsThatChange); len(controls) < 2 {
		v.t.Errorf("the controls that change something are %q", controls)
	}
	browsertest.Eval[bool](v.Page, `document.querySelector("tbody td:last-child button").click() || true`)
	v.press("Run")
	s.await("archived task that runs", func() bool { return s.state(queue.Follow, "put.away") == asynq.TaskStatePending })
	v.Screenshot(v.kind + "write-dark")
}
