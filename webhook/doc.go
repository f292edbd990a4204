// Package webhook is both ends of identwatch's callback. A receiver uses [Verifier] and [Event] to check and read what
// was posted; the service uses [Signer] and [Sender] to sign an event and post it once.
//
// Requests follow the Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com): the headers webhook-id,
// webhook-timestamp and webhook-signature, with v1 (HMAC-SHA256) and v1a (Ed25519) signatures. Any library that speaks
// it can stand in for the receiving half.
//
// A [Sender] makes one attempt and says how it ended. When to try again, and for how long, is the caller's business, and
// so is keeping attempts apart. The package keeps no state, reads no environment, writes no log, and knows no queue.
//
// Events hold personal data. The types that carry it, and the types that carry keys, print as [redacted] in fmt and
// slog; errors and [Result] never quote a URL, a host, a body or a key. encoding/json does write an event in full, for
// that is its purpose: do not hand a structure that contains one to a logger that prints JSON.
//
// For a receiver, read verify.go, event.go, check.go and reason.go. For the service: sender.go (one post), callback.go and
// guard.go (where it may go), transport.go and wire.go (the connection), result.go and failure.go (how it ended), sign.go
// and keys.go, testevent.go. redact.go keeps all of it out of logs.
package webhook
