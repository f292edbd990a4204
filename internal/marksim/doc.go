// Package marksim simulates MarkSign's identification sessions over HTTP, after
// what is documented of the API: starting a session, asking for its status and
// removing it, with Smart-ID and Mobile-ID, in both locales.
//
// A [Simulator] is an [http.Handler] for a server, and an [http.RoundTripper]
// for a client that needs no network. Who confirms, who refuses and after how
// long is scripted by a [Person]; [Persons] is the catalogue for demonstrations.
// What is not known of MarkSign is a knob of its [Dialect], and what can go wrong
// on the way is one of [Faults]. With one seed, the same calls for a session get
// the same answers, however those of other sessions interleave.
//
// It starts no goroutine and asks no clock but time.Now, so that it runs in a
// testing/synctest bubble. It stores nothing, and knows nothing of who calls it.
// Everybody in it is invented.
//
// Read simulator.go, session.go and person.go (who is simulated), dialect.go, faults.go and plan.go (what can be set),
// then one call: call.go, serve.go, start.go, identity.go, certificate.go, write.go. outcome.go, catalogue.go, event.go
// and report.go are what callers see; roundtrip.go is the simulator without a network.
package marksim
