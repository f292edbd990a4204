package doctor

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
)

// noSession is a token of MarkSign's form that no session has.
const noSession = "00000000-0000-0000-0000-000000000000"

// askMarkSign asks for the status of a session that there is not. That MarkSign
// says so, and not that the access token is wrong, is what it is asked for.
func (a Account) askMarkSign(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	answer := a.MarkSign.Status(ctx, marksign.Session{Token: noSession, Method: marksign.SmartID})
	where := a.Host + ": "
	switch {
	case answer.Verdict == marksign.NotFound:
		return finding{OK, a.Host + " answers in " + brief(time.Since(began)) + ", and takes the access token", ""}
	case answer.Verdict == marksign.Rejected && answer.Code > 50000:
		return finding{Failed, where + answer.Detail, "ask MarkSign what this access token may do; until then the account's sessions wait"}
	case answer.Verdict == marksign.Rejected:
		return finding{Failed, where + answer.Detail, "write the access token that MarkSign gave you into MARKSIGN_ACCESS_TOKEN"}
	case answer.Verdict == marksign.Temporary && answer.Code != 0:
		return finding{Warning, where + answer.Detail, "MarkSign has trouble of its own: run doctor again later"}
	case answer.Verdict == marksign.Temporary:
		return finding{Failed, where + answer.Detail, "check MARKSIGN_URL, and that this machine reaches it without a proxy; else run doctor again later"}
	}
	detail := "the answer was " + answer.Verdict.String() + " for a session that there is not"
	if answer.Detail != "" {
		detail += ": " + answer.Detail
	}
	return finding{Warning, where + detail, "check that MARKSIGN_URL is MarkSign's"}
}
