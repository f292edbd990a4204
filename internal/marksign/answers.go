package marksign

import (
	"bytes"
	"net/http"
	"strconv"
)

// meaning is what an error code of MarkSign says of the session.
type meaning struct {
	verdict Verdict
	reason  string // Answer.Reason
	detail  string // Answer.Detail
}

// meanings are the documented codes. A code that is not here goes by its class,
// see meaningOf.
var meanings = map[int]meaning{
	40001: {Failed, "invalid_request", "a request parameter is invalid"},
	40003: {Rejected, reasonAccess, "invalid access token"},
	40004: {Failed, "invalid_phone", "phone of incorrect format"},
	40005: {Failed, "invalid_code", "personal code of incorrect format"},
	40020: {Refused, "refused", "the person refused"},
	40021: {Expired, "session_expired", "the session expired before the person confirmed"},
	40022: {Failed, "document_corrupted", "document format corrupted"},
	40401: {Failed, "no_account", "the person has no account"},
	40402: {NotFound, "not_found", "no session for this token"},
	40403: {Failed, "not_qualified", "the account is not qualified"},
	40801: {CertificateTimeout, "certificate_timeout", "timeout while acquiring the certificate"},
	50000: {Temporary, reasonUnavailable, "processing trouble"},
	50001: {Temporary, reasonUnavailable, "technical trouble"},
	50002: {Temporary, reasonUnavailable, "connection trouble"},
	50003: {Rejected, "not_authorised", "not authorised for the service"},
	50004: {Rejected, "misconfigured", "client configuration incorrect"},
}

// reasonUnavailable goes with every Temporary answer.
const reasonUnavailable = "unavailable"

// reasonUnusable goes with every Unusable answer.
const reasonUnusable = "unusable_answer"

// meaningOf looks a code up. An unknown 4xxxx is final, because asking again
// changes nothing, unless HTTP's status says otherwise: MarkSign's codes look like
// HTTP statuses with a number behind, so a rate limit or an expired token may have
// one. An unknown 5xxxx is not final. What is neither is no code to go by, and so
// must not end a session.
func meaningOf(code, httpStatus int) meaning {
	if m, ok := meanings[code]; ok {
		return m
	}
	switch code / 10_000 {
	case 4:
		return unknown4xxxx(httpStatus)
	case 5:
		return meaning{Temporary, reasonUnavailable, "unknown error code"}
	}
	return meaning{Temporary, reasonUnavailable, "error without a usable code"}
}

func unknown4xxxx(httpStatus int) meaning {
	detail := "unknown error code with HTTP " + strconv.Itoa(httpStatus)
	switch {
	case httpStatus == http.StatusUnauthorized, httpStatus == http.StatusForbidden:
		return meaning{Rejected, reasonAccess, detail}
	case httpStatus == http.StatusRequestTimeout, httpStatus == http.StatusTooManyRequests, httpStatus >= 500:
		return meaning{Temporary, reasonUnavailable, detail}
	}
	return meaning{Failed, "unknown_error", "unknown error code"}
}

// temporary is the answer if there was none to go by.
func temporary(detail string) Answer {
	return Answer{Verdict: Temporary, Reason: reasonUnavailable, Detail: detail}
}

// unusable is the answer to an ok that says too little, or contradicts itself.
func unusable(detail string, body []byte) Answer {
	return Answer{Verdict: Unusable, Reason: reasonUnusable, Detail: detail, Salvage: &Salvage{Body: bytes.Clone(body)}}
}
