package demo

import (
	"fmt"
	"strings"

	"github.com/identwatch/identwatch/internal/demo/stage"
)

// introduction says what is real and what is not.
func (d *demo) introduction() string {
	at := d.stage.Addresses()
	return fmt.Sprintf(`identwatch dev: everything in one process, and nothing of it is kept when it ends.
All persons are invented; MarkSign is simulated; the connections are real.

%s  simulated MarkSign  %s
  receiver            %s
  embedded Redis      %s

`, d.page.line(), at.MarkSign, at.Receiver, at.Redis)
}

// invitation says how to start another session by hand.
func (d *demo) invitation() string {
	p, at := stage.Parts(1)[0].Person, d.stage.Addresses()
	enqueue := "REDIS_URL=" + at.Redis + " identwatch enqueue --check peps,sanctions TOKEN"
	if d.page != nil {
		enqueue = fmt.Sprintf(`curl -s %s/v1/sessions -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '{"token":"TOKEN","method":"smart_id","checks":["peps","sanctions"]}'`, d.page.server.URL(), at.APIKey)
	}
	return fmt.Sprintf(`
Start another session as your application would, and have it followed:

  curl -s %s/smartid/login.json \
    -d '{"access_token":"%s","code":"%s","country":"%s","peps":true,"sanctions":true}'
  %s

Other codes are other persons; any other one of eleven digits confirms in 3 to 20 s:

%s
Ctrl-C ends it all.

`, at.MarkSign, at.AccessToken, p.Code, p.Country, enqueue, stories())
}

// stories are a few of the simulator's catalogue.
func stories() string {
	var b strings.Builder
	for _, p := range stage.Parts(6) {
		fmt.Fprintf(&b, "  %s  %s\n", p.Person.Code, p.Person.Note)
	}
	return b.String()
}
