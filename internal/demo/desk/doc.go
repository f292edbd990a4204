// Package desk is the page of `identwatch dev`: somebody starts sessions on it,
// plays the person with the phone, makes MarkSign and the receiver fail, and
// watches what identwatch makes of it.
//
// The page is of embedded files, without a build step. What it shows comes as
// server-sent events from a feed (feed.go, stream.go) that a demonstration fills
// (watch.go); what it does are POSTs of JSON (actions.go, conditions.go). desk.go is the
// handler of all. It is for whoever sits
// at this machine, and for no other site that their browser visits (guard.go).
package desk
