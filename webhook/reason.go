package webhook

// The reasons of [Error.Reason]. Branch on those that you treat differently, and
// take every other, one of a later release too, like ReasonUnknown.
const (
	// With identification.refused:

	ReasonRefused  = "refused"  // the person refused, or picked the wrong code
	ReasonCanceled = "canceled" // the session was cancelled at MarkSign

	// With identification.expired:

	ReasonSessionExpired = "session_expired" // MarkSign's time for the session was over
	ReasonDeadline       = "deadline"        // identwatch's time for the session was over (SESSION_TIMEOUT)

	// With identification.failed, because of the person or of what was typed:

	ReasonNoAccount    = "no_account"    // the person has no account with the method
	ReasonNotQualified = "not_qualified" // the person's account is not qualified
	ReasonInvalidCode  = "invalid_code"  // the personal code has an incorrect format
	ReasonInvalidPhone = "invalid_phone" // the phone number has an incorrect format

	// With identification.failed, for other causes:

	ReasonInvalidRequest     = "invalid_request"     // MarkSign says that a parameter of the start is invalid
	ReasonDocumentCorrupted  = "document_corrupted"  // MarkSign says that the document's format is corrupted
	ReasonCertificateTimeout = "certificate_timeout" // MarkSign could not get the person's certificate in time
	ReasonNotFound           = "not_found"           // MarkSign knows no session with the token
	ReasonUnknown            = "unknown_error"       // MarkSign sent an error code that identwatch does not know

	// With identification.failed, for those who run the service:

	ReasonUnavailable    = "unavailable"     // MarkSign gave no usable answer before the session's time was over
	ReasonUnusableAnswer = "unusable_answer" // MarkSign answered ok, but not with an identity that can be used
	ReasonInternal       = "internal"        // a defect in identwatch
)

// Reasons returns every reason of this release.
func Reasons() []string {
	return []string{
		ReasonRefused, ReasonCanceled,
		ReasonSessionExpired, ReasonDeadline,
		ReasonNoAccount, ReasonNotQualified, ReasonInvalidCode, ReasonInvalidPhone,
		ReasonInvalidRequest, ReasonDocumentCorrupted, ReasonCertificateTimeout, ReasonNotFound, ReasonUnknown,
		ReasonUnavailable, ReasonUnusableAnswer, ReasonInternal,
	}
}
