// Package stage owns what runs in a demonstration, and how its sessions stand: an
// embedded Redis, a simulated MarkSign, a receiver that verifies each event, and the
// worker, which talk to each other over real connections on the loopback address. An
// application of its own starts sessions of invented persons. It shows nothing, and
// goes by no other way than the packages that applications and operators use.
//
// stage.go is what others call; stack.go runs the parts. cast.go and application.go
// start sessions; board.go notes what happens to each of them (session.go), and
// story.go puts it into words. audit.go holds it all against what identwatch promises.
package stage
