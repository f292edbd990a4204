// Package marksign talks to MarkSign's identification sessions: it asks for
// the status of a session and removes it.
//
// Every call is one attempt and ends in an answer, never in an error: what
// MarkSign said, what HTTP said, or what the network did, put into one of a few
// verdicts by the table in answers.go. Whether and when to ask again is the
// caller's decision.
//
// The package keeps personal data and the access token out of sight. An
// [Identity], a [Config] and a [Client] print as [redacted], and an [Answer]
// prints without MarkSign's message. Details are of a fixed vocabulary, and hold
// no URL, no token and nothing of a body.
//
// It never retries (but for a kept connection that the server closed under a
// status request), never follows a redirect, never reads a proxy from the
// environment, and never logs.
//
// Read client.go, answer.go (what a call ends in), answers.go (MarkSign's codes), then one call from begin to end:
// request.go, exchange.go, transport.go, body.go, status.go, fields.go. redact.go keeps secrets out of sight.
package marksign
