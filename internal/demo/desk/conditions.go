package desk

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
)

// condition is a way for one side to be: well, or not.
type condition struct {
	Name  string
	Label string
	Note  string // what it means
}

// markSignCondition and receiverCondition say what brings it about.
type markSignCondition struct {
	condition
	faults []marksim.Faults
}

type receiverCondition struct {
	condition
	conduct receiver.Conduct
}

// well is the condition that is no fault, of both.
const well = "well"

// following are the calls that meet faults: sessions can still be started.
const following = marksim.StatusCalls | marksim.RemoveCalls

var markSignConditions = []markSignCondition{
	{condition{well, "Works", ""}, nil},
	{condition{"down", "Is down", "closes connections"}, faults(marksim.Faults{Outage: true})},
	{condition{"slow", "Is slow", "answers after 4 s"}, faults(marksim.Faults{Latency: 4 * time.Second})},
	{condition{"error", "Fails", "HTTP 500, 503 or 504"}, faults(marksim.Faults{ServerError: 1})},
	{condition{"busy", "Throttles", "HTTP 429"}, faults(marksim.Faults{TooMany: 1, RetryAfter: 5 * time.Second})},
	{condition{"page", "Sends a page", "HTML, not JSON"}, faults(marksim.Faults{HTML: 1})},
	{condition{"cut", "Breaks off", "half an answer"}, faults(marksim.Faults{Cut: 1})},
	{condition{"forgets", "Forgets", "all it is asked about"}, faults(marksim.Faults{Forget: 1})},
}

func faults(f marksim.Faults) []marksim.Faults {
	f.Calls = following
	return []marksim.Faults{f}
}

var receiverConditions = []receiverCondition{
	{condition{well, "Works", "answers 204"}, receiver.Conduct{}},
	{condition{"error", "Fails", "answers 500"}, receiver.Conduct{Answer: http.StatusInternalServerError}},
	{condition{"gone", "Is gone", "answers 410"}, receiver.Conduct{Answer: http.StatusGone}},
	{condition{"slow", "Is slow", "answers after 20 s"}, receiver.Conduct{Delay: 20 * time.Second}},
	{condition{"hangs_up", "Hangs up", "gives no answer"}, receiver.Conduct{HangUp: true}},
}

// conditions are those that are set.
type conditions struct {
	mu                 sync.Mutex
	markSign, receiver string
}

// set brings conditions about; "" leaves one as it is. It returns false where one
// is not known, which field says.
func (d *desk) setConditions(markSign, receiver string) (field string, ok bool) {
	m := slices.IndexFunc(markSignConditions, func(c markSignCondition) bool { return c.Name == markSign })
	r := slices.IndexFunc(receiverConditions, func(c receiverCondition) bool { return c.Name == receiver })
	if markSign != "" && m < 0 {
		return "marksign", false
	}
	if receiver != "" && r < 0 {
		return "receiver", false
	}
	c := &d.conditions
	c.mu.Lock()
	defer c.mu.Unlock()
	if m >= 0 {
		d.stage.Simulator().SetFaults(markSignConditions[m].faults...)
		c.markSign = markSign
	}
	if r >= 0 {
		d.stage.Receiver().SetConduct(receiverConditions[r].conduct)
		c.receiver = receiver
	}
	d.feed.put("conditions", "", map[string]string{"marksign": c.markSign, "receiver": c.receiver})
	return "", true
}
