package worker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// simTrouble is a kind of incident, by what it may explain.
type simTrouble string

const (
	wasKilled    simTrouble = "it was killed"
	wasFrozen    simTrouble = "it was suspended"
	wasStopped   simTrouble = "it was stopped"
	stopCutShort simTrouble = "its stop was cut short"
	wayDisturbed simTrouble = "its way was disturbed"
	redisIll     simTrouble = "Redis was ill"
	redisLost    simTrouble = "Redis lost its last second"
	sealedLost   simTrouble = "Redis lost a sealed result alone"
	clockMoved   simTrouble = "Redis's clock was moved"
	markSignIll  simTrouble = "MarkSign was ill"
	receiverIll  simTrouble = "a receiver was ill"
	operatorDid  simTrouble = "an operator or the application interfered"
	tokenChanged simTrouble = "MarkSign refused an old access token"
	newcomer     simTrouble = "a worker started"
)

// simIncident is something that happened to a process, an account, a host, a
// session or, if it names none, to all.
type simIncident struct {
	what     simTrouble
	whom     string // a process's name, an account, a host or a token; "" is all
	way      string // of a process that was disturbed
	from, to time.Time
	tokens   map[string]bool // of the sessions that Redis lost something of
}

func (in *simIncident) touches(from, to time.Time) bool {
	return !in.from.After(to) && (in.to.IsZero() || !in.to.Before(from))
}

// simPost is one request that a receiver got.
type simPost struct {
	by         *simProcess
	host, id   string
	token      string
	begun, end time.Time
	status     int  // 0: the sender left before the answer
	heard      bool // the answer reached the sender
	body       string
	event      webhook.Event

	asks    bool          // the answer says when to come again
	claimed time.Time     // when the claim was taken
	kept    time.Duration // for how long Redis keeps the sealed result
	wants   time.Duration // for how long the sender may post it
}

func (p *simPost) acknowledged() bool { return p.status/100 == 2 }

// simClaim is who has the right to post an event, since when.
type simClaim struct {
	by string
	at time.Time
}

// simCall is one poll or DELETE that MarkSign got.
type simCall struct {
	by      *simProcess
	removes bool
	token   string
	at      time.Time
}

// simChange is how a session's record stood after a command changed it.
type simChange struct {
	at             time.Time
	by             *simProcess // nil: the application, an operator, or a Redis that lost something
	state, removal string
	typ, holder    string
	lost           bool
	sealedUntil    time.Time // when the sealed result expires, as it was then
}

// simLog is all that happened in a simulation, as nobody of the engine can see it.
type simLog struct {
	begun time.Time

	mu        sync.Mutex
	lines     []string
	incidents []*simIncident
	posts     map[string][]*simPost
	calls     map[string][]simCall
	records   map[string][]simChange
	leaks     []string
	counts    map[string]int
	named     map[string]int      // commands of workers, by the token that they name
	claims    map[string]simClaim // the last of each token
}

func newSimLog() *simLog {
	return &simLog{
		begun: time.Now(), posts: map[string][]*simPost{}, calls: map[string][]simCall{},
		records: map[string][]simChange{}, counts: map[string]int{}, named: map[string]int{}, claims: map[string]simClaim{},
	}
}

func (l *simLog) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%9.3f %s", time.Since(l.begun).Seconds(), fmt.Sprintf(format, args...)))
}

func (l *simLog) since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%.3f", t.Sub(l.begun).Seconds())
}

// note begins an incident; over ends it.
func (l *simLog) note(what simTrouble, whom string) *simIncident {
	in := &simIncident{what: what, whom: whom, from: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.incidents = append(l.incidents, in)
	l.counts[string(what)]++
	return in
}

func (l *simLog) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

// moment notes an incident that is over at once.
func (l *simLog) moment(what simTrouble, whom string) { l.over(l.note(what, whom)) }

func (l *simLog) over(in *simIncident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.to.IsZero() {
		in.to = time.Now()
	}
}

// find returns an incident of one of the kinds that befell one of those named, or
// all, within an interval; nil if there was none.
func (l *simLog) find(from, to time.Time, whom []string, kinds ...simTrouble) *simIncident {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.incidents {
		if slices.Contains(kinds, in.what) && in.touches(from, to) && (in.whom == "" || slices.Contains(whom, in.whom)) {
			return in
		}
	}
	return nil
}

// all returns the incidents of some kinds that befell a process within an interval.
func (l *simLog) all(from, to time.Time, process string, kinds ...simTrouble) (all []simIncident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.incidents {
		if slices.Contains(kinds, in.what) && in.touches(from, to) && in.whom == process {
			all = append(all, *in)
		}
	}
	return all
}

// wayWas reports whether a process's way, any if none is named, was disturbed.
func (l *simLog) wayWas(process, way string, from, to time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.incidents, func(in *simIncident) bool {
		return in.what == wayDisturbed && in.whom == process && (way == "" || in.way == way) && in.touches(from, to)
	})
}

// lost returns an incident in which Redis lost something of a session.
func (l *simLog) lost(token string, from, to time.Time) *simIncident {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.incidents {
		if in.what == redisLost && in.touches(from, to) && in.tokens[token] {
			return in
		}
	}
	return nil
}

// saw looks at what a command that was executed did to the session that it names. It
// returns what the record has become by it, "" if that is as before.
func (l *simLog) saw(r *simRedis, p *simProcess, token string, args []string) (became string) {
	if token == "" {
		return ""
	}
	if p != nil {
		l.mu.Lock()
		l.named[token]++
		l.mu.Unlock()
	}
	for _, a := range args {
		if i := strings.Index(a, personMark); i >= 0 {
			l.leak("a command to Redis", a, i)
		}
	}
	if len(args) > 3 && !strings.HasSuffix(args[3], ":salvage") && tokenOfRecord(args[3]) != "" {
		return l.sawRecord(r, p, args[3], false)
	}
	return ""
}

func (l *simLog) leak(where, text string, at int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaks = append(l.leaks, fmt.Sprintf("%s shows %q", where, text[max(0, at-100):min(len(text), at+40)]))
}

// tokenOfRecord is the token that a record's key names, "" if it is another key.
func tokenOfRecord(key string) string {
	if !strings.HasPrefix(key, "identwatch:") && !strings.HasPrefix(key, "{identwatch-") {
		return ""
	}
	parts := strings.SplitN(key, ":", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

func (l *simLog) sawRecord(r *simRedis, p *simProcess, key string, lost bool) (became string) {
	token := tokenOfRecord(key)
	now := simChange{at: time.Now(), by: p, lost: lost}
	if r.mini.Exists(key) {
		get := func(field string) string { return r.mini.HGet(key, field) }
		now.state, now.removal, now.typ, now.holder = get("state"), get("removal"), get("type"), get("holder")
	}
	claimant := r.mini.HGet(key, "claimant")
	l.mu.Lock()
	defer l.mu.Unlock()
	if claimant != l.claims[token].by {
		l.claims[token] = simClaim{claimant, now.at}
	}
	known := l.records[token]
	if n := len(known); n > 0 {
		last := known[n-1]
		if last.state == now.state && last.removal == now.removal && last.typ == now.typ && last.holder == now.holder {
			return ""
		}
		if became = now.state; now.removal != last.removal {
			became = now.removal
		}
	} else if now.state == "" {
		return ""
	}
	now.sealedUntil = now.at.Add(r.mini.TTL(key + ":sealed"))
	l.records[token] = append(known, now)
	return became
}

func (l *simLog) sawPost(p *simPost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts[p.token] = append(l.posts[p.token], p)
}

func (l *simLog) sawCall(c simCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[c.token] = append(l.calls[c.token], c)
}

// story tells all that is known of a session.
func (l *simLog) story(token string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	type line struct {
		at   time.Time
		text string
	}
	var all []line
	for _, c := range l.records[token] {
		by := "somebody"
		if c.by != nil {
			by = c.by.name
		}
		if c.lost {
			by = "a Redis that lost its last second"
		}
		all = append(all, line{c.at, fmt.Sprintf("record: %q, removal %q, type %q, by %s", c.state, c.removal, c.typ, by)})
	}
	for _, p := range l.posts[token] {
		all = append(all, line{p.begun, fmt.Sprintf("post by %s to %s, %s %s until %s, answered %d, heard %v",
			p.by.name, p.host, p.event.Type, reasonOf(p.event), l.since(p.end), p.status, p.heard)})
	}
	polls := 0
	for i, c := range l.calls[token] {
		switch {
		case c.removes:
			all = append(all, line{c.at, "DELETE by " + c.by.name})
		case i == 0 || polls == 0 || i == len(l.calls[token])-1 || l.calls[token][i-1].by != c.by:
			all = append(all, line{c.at, "poll by " + c.by.name})
			fallthrough
		default:
			polls++
		}
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "  %9.3f %s\n", x.at.Sub(l.begun).Seconds(), x.text)
	}
	return b.String()
}

func reasonOf(e webhook.Event) string {
	if e.Data.Error == nil {
		return ""
	}
	return e.Data.Error.Reason
}
