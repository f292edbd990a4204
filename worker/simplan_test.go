package worker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// simSlots is how many workers there may be at once.
const simSlots = 3

// simSettings are those of a worker, which may change whenever one starts.
type simSettings struct {
	lease, session, delivery, window, redelivery time.Duration
	pace                                         Pace
	polls, posts, limit                          int
	keys                                         int // which outcome key seals
	taskKeys                                     bool
}

func (s simSettings) String() string {
	return fmt.Sprintf("LEASE=%v SESSION_TIMEOUT=%v DELIVERY_TIMEOUT=%v DELIVERY_WINDOW=%v REDELIVERY_WINDOW=%v pace %v, %d polls, %d posts, %d sessions, key %d, TASK_KEYS %v",
		s.lease, s.session, s.delivery, s.window, s.redelivery, s.pace, s.polls, s.posts, s.limit, s.keys, s.taskKeys)
}

// simStep is one thing that happens.
type simStep struct {
	at       time.Duration
	do       string
	slot     int // of a worker
	n        int // of a session
	account  int
	host     int
	lasts    time.Duration
	away     time.Duration // of a Redis that restarts
	settings simSettings
	trap     simTrap
	visit    simVisit
	mood     simMood
	faults   marksim.Faults
	ill      redisIllness
	absence  shardAbsence
	how      string
}

// String is short, because a failing schedule is read by people.
func (s simStep) String() string {
	text := fmt.Sprintf("%7.3f %s", s.at.Seconds(), s.do)
	switch s.do {
	case "start":
		return fmt.Sprintf("%s worker %d: %s", text, s.slot, s.settings)
	case "kill", "stop", "reads the files":
		return fmt.Sprintf("%s worker %d", text, s.slot)
	case "suspend":
		return fmt.Sprintf("%s worker %d for %v", text, s.slot, s.lasts)
	case "trap":
		when := "after"
		if s.trap.before {
			when = "before"
		}
		return fmt.Sprintf("worker %d: %s (%v) %s its %s number %d from %.3f on", s.slot, s.trap.act, s.trap.lasts, when, s.trap.kind, s.trap.n, s.at.Seconds())
	case "enqueue":
		v := s.visit
		return fmt.Sprintf("%s %s of %s to %s, %s, checks %v, a person who %s after %v", text, v.token, simAccounts[v.account], v.receiver(), v.method, v.checks, v.person.Outcome, v.person.AfterMin)
	case "receiver":
		return fmt.Sprintf("%s %s %s for %v, %d %% of posts", text, simHosts[s.host], s.mood.name, s.lasts, s.mood.share)
	case "MarkSign":
		return fmt.Sprintf("%s of %s %s for %v", text, simAccounts[s.account], s.how, s.lasts)
	case "bad task":
		return fmt.Sprintf("%s %s of tok-%d for %s", text, s.how, s.n, simQueues[s.slot])
	case "new access token", "its file":
		return fmt.Sprintf("%s of %s", text, simAccounts[s.account])
	case "Redis":
		return fmt.Sprintf("%s %s for %v", text, cmpOr(string(s.ill), "?"), s.lasts)
	case "Redis loses", "Redis's clock", "pause":
		return fmt.Sprintf("%s %v", text, s.lasts)
	case "a shard is away":
		return fmt.Sprintf("%s: %s %s for %v", text, s.tag(), s.absence, s.lasts)
	case "a worker with other shards":
		return text
	case "asynq's leases vanish", "forget nothing":
		return text
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s%d %s", text, tokenMark, s.n, s.how))
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// simPlan is all that a seed decides.
type simPlan struct {
	Seed    uint64
	Shards  int
	Signed  bool // the application signs its tasks
	Always  bool // every worker has TASK_KEYS
	Metrics bool
	// Retention is of the tasks.
	Retention time.Duration
	Steps     []simStep
	Last      simSettings // of the worker that is started in the end if none is alive
}

func (p simPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d shards, the application signs %v, retention %v\n", p.Seed, p.Shards, p.Signed, p.Retention)
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	fmt.Fprintf(&b, "  in the end, if nobody works: %s\n", p.Last)
	return b.String()
}

// simDice draws a plan.
type simDice struct {
	*rand.Rand
	plan *simPlan
	long time.Duration // the schedule
}

func (d simDice) chance(percent int) bool { return d.IntN(100) < percent }

func (d simDice) upTo(t time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(t/time.Millisecond)+1)) * time.Millisecond
}

func (d simDice) between(a, b time.Duration) time.Duration { return a + d.upTo(b-a) }

func pickOne[T any](d simDice, choices ...T) T { return choices[d.IntN(len(choices))] }

const second = time.Second

// byHalf is how an operator asks who dies between the note in the record and the task.
const byHalf = "by half"

// What Redis evicts of a session.
const (
	evictsRecord = "its record"
	evictsBoth   = "its record and sealed result"
	evictsSealed = "its sealed result"
)

// drawSimPlan draws what one seed stands for, always the same.
func drawSimPlan(seed uint64) simPlan {
	p := simPlan{Seed: seed}
	d := simDice{rand.New(rand.NewPCG(seed, 9)), &p, 0}
	d.long = pickOne(d, d.between(6*second, 20*second), d.between(6*second, 20*second), d.between(20*second, 50*second))
	p.Signed, p.Metrics = d.chance(50), d.chance(25)
	p.Always = p.Signed && d.chance(60)
	p.Retention = pickOne(d, tasks.DefaultRetention, tasks.MaxRetention)
	p.Last = d.settings()
	first := d.settings()
	p.Steps = append(p.Steps, simStep{do: "start", settings: first})
	for slot := 1; slot < simSlots; slot++ {
		if d.chance(50) {
			p.Steps = append(p.Steps, simStep{do: "start", slot: slot, at: d.upTo(4 * second), settings: pickOne(d, first, d.settings())})
		}
	}
	sessions := 1 + d.IntN(8)
	for i := range sessions {
		p.Steps = append(p.Steps, simStep{at: d.upTo(d.long * 6 / 10), do: "enqueue", n: i, visit: d.visit(i)})
	}
	for range 4 + d.IntN(20) {
		s := d.step(sessions)
		p.Steps = append(p.Steps, s)
		if (s.do == "kill" || s.do == "stop" || s.do == "trap") && d.chance(60) { // it is replaced
			p.Steps = append(p.Steps, simStep{at: s.at + d.between(second, 8*second), do: "start", slot: s.slot, settings: d.settings()})
		}
	}
	d.sagas(sessions)
	d.shards()
	slices.SortStableFunc(p.Steps, func(a, b simStep) int { return int(a.at - b.at) })
	return p
}

func (d simDice) settings() simSettings {
	return simSettings{
		lease:      pickOne(d, 3*second, 4*second, 6*second, 10*second),
		session:    pickOne(d, 12*second, 20*second, 30*second),
		delivery:   pickOne(d, 2*second, 3*second, 5*second, 9*second),
		window:     pickOne(d, 15*second, 40*second, 5*time.Minute, time.Hour, 72*time.Hour),
		redelivery: pickOne(d, -1, time.Minute, time.Hour, 168*time.Hour),
		pace:       pickOne(d, Pace{{From: 0, Every: second}}, Pace{{From: 0, Every: 500 * time.Millisecond}}, DefaultPace()),
		polls:      pickOne(d, 2, 4, 32),
		posts:      pickOne(d, 2, 4, 32),
		limit:      pickOne(d, 2, 4, 50, 50),
		keys:       d.IntN(2),
		taskKeys:   d.plan.Always || d.plan.Signed && d.chance(50),
	}
}

// simEnds are what persons do, the likely more than once.
var simEnds = []marksim.Outcome{
	marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms,
	marksim.Refuses, marksim.WrongCode, marksim.Expires, marksim.UnknownAccount, marksim.NotQualified, marksim.DocumentCorrupted, marksim.Canceled, marksim.Waits,
}

func (d simDice) visit(i int) simVisit {
	v := simVisit{
		token: fmt.Sprint(tokenMark, i), account: d.IntN(len(simAccounts)), host: d.IntN(len(simHosts)+1) - 1,
		method: pickOne(d, marksim.SmartID, marksim.MobileID),
		checks: pickOne(d, nil, []tasks.Check{tasks.PEPs}, []tasks.Check{tasks.Sanctions}, []tasks.Check{tasks.PEPs, tasks.Sanctions}),
		person: marksim.Person{
			Name: "JONAS" + personMark, Surname: fmt.Sprint("JONAITIS", personMark, i), Code: fmt.Sprintf("30303039%03d", i), Country: "LT",
			Outcome: pickOne(d, simEnds...), AfterMin: pickOne(d, 0, d.upTo(3*second), d.upTo(9*second), d.upTo(18*second)),
		},
	}
	if d.chance(20) {
		v.person.PEPs = []marksim.PEPRecord{{ID: 1, FirstName: "JONAS" + personMark, AKA: strings.Repeat("x", pickOne(d, 1, 1, 1, 60_000))}}
	}
	if d.chance(20) {
		v.person.Sanctions = []marksim.SanctionRecord{{ID: 1, FirstName: "JONAS" + personMark}}
	}
	return v
}

// simKinds are the things that a schedule may do beside enqueueing, with how often.
var simKinds = []struct {
	do     string
	weight int
	draw   func(d simDice, s *simStep)
}{
	{"trap", 36, simDice.trap},
	{"start", 10, func(d simDice, s *simStep) { s.settings = d.settings() }},
	{"kill", 5, nil},
	{"stop", 5, nil},
	{"suspend", 4, func(d simDice, s *simStep) { s.lasts = d.between(second, 20*second) }},
	{"receiver", 14, simDice.receiver},
	{"MarkSign", 10, simDice.markSign},
	{"Redis", 4, func(d simDice, s *simStep) {
		s.ill, s.lasts = pickOne(d, redisRefuses, redisLoads, redisFull), d.between(200*time.Millisecond, 9*second)
	}},
	{"Redis loses", 4, func(d simDice, s *simStep) {
		s.lasts, s.away = d.between(200*time.Millisecond, second), d.between(50*time.Millisecond, 3*second)
	}},
	{"Redis's clock", 3, func(d simDice, s *simStep) { s.lasts = d.upTo(6*second) - 3*second }},
	{"asynq's leases vanish", 2, nil},
	{"pause", 3, func(d simDice, s *simStep) {
		s.lasts = pickOne(d, time.Minute, 10*time.Minute, 3*time.Hour, 26*time.Hour, 26*time.Hour)
		s.settings = d.settings()
	}},
	{"forget", 1, nil},
	{"cancel", 3, simDice.operator},
	{"enqueue again", 3, nil},
	{"run", 6, nil},
	{"delete", 1, nil},
	{"redeliver", 4, simDice.operator},
	{"evict", 1, func(d simDice, s *simStep) { s.how = pickOne(d, evictsRecord, evictsBoth, evictsSealed) }},
	{"rewrite", 3, nil},
}

func (d simDice) step(sessions int) simStep {
	total := 0
	for _, k := range simKinds {
		total += k.weight
	}
	roll := d.IntN(total)
	s := simStep{at: d.upTo(d.long), slot: d.IntN(simSlots), n: d.IntN(sessions), account: d.IntN(len(simAccounts)), host: d.IntN(len(simHosts))}
	if d.chance(40) {
		s.slot = 0
	}
	for _, k := range simKinds {
		if roll -= k.weight; roll < 0 {
			s.do = k.do
			if k.draw != nil {
				k.draw(d, &s)
			}
			break
		}
	}
	return s
}

// operator draws whether who asks for something dies before it is all done.
func (d simDice) operator(s *simStep) {
	if d.chance(30) {
		s.how = byHalf
	}
}

func (d simDice) trap(s *simStep) {
	s.trap = simTrap{
		kind:   pickOne(d, aCommand, aCommand, aPoll, aPost, aPost, aDelete, theRecord+"sealed", theRecord+"sealed", theRecord+"handed", theRecord+"delivered", theRecord+"given_up", theRecord+"removed"),
		before: d.chance(40),
		act:    pickOne(d, trapKills, trapKills, trapFreezes, trapFreezes, trapStops, trapLoses, trapDelays, trapCuts),
		lasts:  pickOne(d, d.between(200*time.Millisecond, 4*second), d.between(second, 16*second)),
	}
	most := max(map[string]int{aCommand: 40, aPoll: 12, aPost: 4}[s.trap.kind], 3)
	s.trap.n = 1 + min(d.IntN(most), d.IntN(most))
	s.trap.before = s.trap.before && !strings.HasPrefix(s.trap.kind, theRecord)
	if d.chance(60) {
		s.at = 0
	}
}

func (d simDice) receiver(s *simStep) {
	after := map[string][]string{"Retry-After": {strconv.Itoa(1 + d.IntN(8))}}
	slow := d.between(second, 10*second)
	s.mood = pickOne(d,
		simMood{name: "fails with 500", status: 500},
		simMood{name: "fails with 503 and Retry-After", status: 503, header: after},
		simMood{name: "answers 429 with Retry-After", status: 429, header: after},
		simMood{name: "is gone", status: 410},
		simMood{name: "redirects", status: 307, header: map[string][]string{"Location": {"https://" + intruder + "/"}}},
		simMood{name: "hangs", status: 204, after: time.Hour},
		simMood{name: fmt.Sprintf("takes %v", slow), status: 204, after: slow},
		simMood{name: fmt.Sprintf("takes %v", slow), status: 204, after: slow},
		simMood{name: fmt.Sprintf("takes %v", slow), status: 204, after: slow},
		simMood{name: fmt.Sprintf("takes %v to fail", slow), status: 500, after: slow},
		simMood{name: "refuses connections", refuse: true},
		simMood{name: "cuts its 2xx off", status: 204, cut: true},
	)
	s.mood.share = pickOne(d, 40, 100, 100)
	s.lasts = pickOne(d, d.upTo(4*second), d.upTo(20*second), d.long)
}

func (d simDice) markSign(s *simStep) {
	share := pickOne(d, 0.3, 0.6, 1)
	after := time.Duration(1+d.IntN(5)) * second
	ways := []struct {
		how    string
		faults marksim.Faults
	}{
		{"is down", marksim.Faults{Outage: true}},
		{"is slow", marksim.Faults{Latency: 300 * time.Millisecond, Jitter: 3 * second}},
		{"cuts", marksim.Faults{Cut: share}},
		{"fails", marksim.Faults{ServerError: share}},
		{"fails with Retry-After", marksim.Faults{ServerError: share, RetryAfter: after}},
		{"answers 429", marksim.Faults{TooMany: share, RetryAfter: after}},
		{"sends pages", marksim.Faults{HTML: share}},
		{"is a bad gateway", marksim.Faults{BadGateway: share}},
		{"answers another shape", marksim.Faults{WrongShape: share}},
		{"answers 50000", marksim.Faults{Error: share}},
		{"answers 40801", marksim.Faults{Error: share, ErrorCode: 40801, Calls: marksim.StatusCalls}},
		{"hangs", marksim.Faults{Hang: share}},
		{"refuses removals", marksim.Faults{RemoveError: share}},
		{"cuts removals", marksim.Faults{Cut: share, Calls: marksim.RemoveCalls}},
		{"rejects the access token", marksim.Faults{RejectToken: true}},
	}
	way := ways[d.IntN(len(ways))]
	s.how, s.faults, s.lasts = fmt.Sprintf("%s (%.0f %%)", way.how, 100*share), way.faults, pickOne(d, d.upTo(4*second), d.upTo(15*second))
}
