package marksim

// Outcome is how a session ends.
type Outcome string

// The outcomes. "" is Confirms.
const (
	Confirms           Outcome = "confirms"
	Refuses            Outcome = "refuses"             // 40020
	WrongCode          Outcome = "wrong_code"          // 40020: picks the wrong control code
	NeverAnswers       Outcome = "never_answers"       // 40021, after 2 min where the script names no time
	Expires            Outcome = "expires"             // 40021
	UnknownAccount     Outcome = "unknown_account"     // 40401
	NotQualified       Outcome = "not_qualified"       // 40403
	DocumentCorrupted  Outcome = "document_corrupted"  // 40022
	CertificateTimeout Outcome = "certificate_timeout" // 40801
	Canceled           Outcome = "canceled"            // the status that Dokobit, a sibling API, has
	Waits              Outcome = "waits"               // none: pending for ever
)

// outcomes are all there are, with the error code that tells of them; 0 where
// none does.
var outcomes = map[Outcome]int{
	Confirms:           0,
	Refuses:            40020,
	WrongCode:          40020,
	NeverAnswers:       40021,
	Expires:            40021,
	UnknownAccount:     40401,
	NotQualified:       40403,
	DocumentCorrupted:  40022,
	CertificateTimeout: 40801,
	Canceled:           0,
	Waits:              0,
}

// messages go with the error codes. Only that of 40402 is documented; the others
// say the documented meaning.
var messages = map[int]string{
	40001: "Request parameter is invalid",
	40003: "Invalid access token",
	40004: "Phone number is of incorrect format",
	40005: "Personal code is of incorrect format",
	40020: "User refused",
	40021: "Session expired",
	40022: "Document format is corrupted",
	40401: "User account was not found",
	40402: "Session for given token was not found",
	40403: "User account is not qualified",
	40801: "Timeout while acquiring certificate",
	50000: "Processing error",
	50001: "Technical error",
	50002: "Connection error",
	50003: "Client is not authorised for the service",
	50004: "Client configuration is incorrect",
}

// removeRefusal is the documented answer to a removal that was none. It has no
// code.
const removeRefusal = "Request number is invalid"
