package marksign

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// waiting is the pending answer as MarkSign sends it. Nearly all answers are
// this one, so it is told without decoding.
var waiting = []byte(`{"status":"waiting"}`)

// maxMessage bounds Answer.Message, in bytes.
const maxMessage = 500

// statusAnswer judges the reply to a status call for a token.
func statusAnswer(r reply, token string) Answer {
	a := judge(r, token)
	a.RetryAfter = min(r.retryAfter, maxPollRetryAfter)
	return a
}

// judge reads the body first, and goes by HTTP's status only if the body is no
// JSON object with a status: which HTTP status MarkSign's errors come with is not
// documented.
func judge(r reply, token string) Answer {
	switch r.fault {
	case "":
	case faultOversized:
		return judgeOversized(r)
	default:
		return judgeCut(r)
	}
	if bytes.Equal(bytes.TrimSpace(r.body), waiting) {
		return Answer{}
	}
	f := decode(r.body)
	status, ok := f.status()
	switch {
	case f == nil && saysOK(r.body):
		return unusable("ok in broken JSON", r.body)
	case !ok:
		return judgeHTTP(r, f != nil)
	}
	switch status {
	case "ok":
		return judgeOK(r.body, f, token)
	case "error":
		return judgeError(f, r.status)
	case "waiting":
		return Answer{}
	case "canceled": // Dokobit's word, a sibling API
		return Answer{Verdict: Refused, Reason: "canceled", Message: message(f), Detail: "canceled"}
	}
	return Answer{Detail: faultStatus}
}

// faultStatus is a status that is not known: pending, and worth a warning.
const faultStatus = "unknown status"

// judgeOversized takes an object that is too large for a success that cannot be
// read, because no other answer of MarkSign has lists. A large page of somebody
// else is temporary.
func judgeOversized(r reply) Answer {
	if r.status == http.StatusOK && bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("{")) {
		return Answer{Verdict: Unusable, Reason: reasonUnusable, Detail: faultOversized}
	}
	return temporary(faultOversized)
}

// judgeCut takes an answer that broke off for trouble that may pass, and keeps what
// came of a success: it may be all that is ever seen of it.
func judgeCut(r reply) Answer {
	a := temporary(r.fault)
	if saysOK(r.body) {
		a.Salvage = &Salvage{Body: bytes.Clone(r.body)}
	}
	return a
}

// saysOK reports whether a text that is no JSON, or breaks off, was to be a success.
func saysOK(text []byte) bool {
	said := valuesOf(text)["status"]
	return len(said) > 0 && string(said[len(said)-1]) == `"ok"`
}

// judgeOK accepts only what says of whom and for which session it speaks, once.
func judgeOK(body []byte, f fields, token string) Answer {
	said := valuesOf(body)
	code, _ := text(f["code"])
	sent, _ := text(f["token"])
	switch {
	case said.contradict():
		return unusable("ok that contradicts itself", body)
	case sent == "":
		return unusable("ok without a token", body)
	case sent != token:
		return unusable("ok for another token", body)
	case strings.TrimSpace(code) == "":
		return unusable("ok without a code", body)
	case !utf8.Valid(body):
		return unusable("ok that is not UTF-8", body) // a name would come out mangled
	}
	return Answer{Verdict: Identified, Identity: newIdentity(said, f)}
}

// judgeError goes by the code; the message can be localised, so it is only
// passed on.
func judgeError(f fields, httpStatus int) Answer {
	code := errorCode(f)
	m := meaningOf(code, httpStatus)
	return Answer{Verdict: m.verdict, Code: code, Reason: m.reason, Message: message(f), Detail: m.detail}
}

// judgeHTTP goes by HTTP's status. A 404 is temporary: a wrong base URL must not
// end a session. An HTML page is nothing that MarkSign said, so with a 401 or
// 403 it is temporary like any other.
func judgeHTTP(r reply, isObject bool) Answer {
	code := "HTTP " + strconv.Itoa(r.status)
	detail := code + " without a JSON answer"
	if isObject {
		detail = code + " without a status"
	}
	switch {
	case r.status >= 300 && r.status < 400:
		return temporary(code + " redirect, not followed")
	case r.status != http.StatusUnauthorized && r.status != http.StatusForbidden:
		return temporary(detail)
	case isObject || len(bytes.TrimSpace(r.body)) == 0:
		return Answer{Verdict: Rejected, Reason: reasonAccess, Detail: detail}
	}
	return temporary(detail)
}

// removeAnswer judges the reply to a removal, the body first as for a status.
// An error has no documented code. If it has one all the same, and the code says
// that the trouble is MarkSign's or the account's, the session is still there to
// be removed.
func removeAnswer(r reply) RemoveAnswer {
	a := RemoveAnswer{Verdict: RemoveTemporary, RetryAfter: r.retryAfter}
	if r.fault != "" {
		a.Detail = r.fault
		return a
	}
	f := decode(r.body)
	switch status, ok := f.status(); {
	case !ok:
		judged := judgeHTTP(r, f != nil)
		a.Detail = judged.Detail
		if judged.AccessRejected() {
			a.Verdict = RemoveRejected
		}
	case status == "ok":
		a.Verdict = Removed
	case status == "error":
		a.Verdict, a.Detail = judgeRemoveError(f, r.status)
	default:
		a.Detail = faultStatus
	}
	return a
}

func judgeRemoveError(f fields, httpStatus int) (RemoveVerdict, string) {
	code := errorCode(f)
	if code == 0 {
		return RemoveRefused, "removal refused"
	}
	m := meaningOf(code, httpStatus)
	switch {
	case m.verdict == Rejected && m.reason == reasonAccess:
		return RemoveRejected, m.detail
	case m.verdict == Temporary, m.verdict == Rejected:
		return RemoveTemporary, m.detail
	}
	return RemoveRefused, m.detail
}
