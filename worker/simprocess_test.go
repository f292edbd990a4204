package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/webhook"
)

// The ways that lead out of a process, and the things that its traps count.
const (
	toRedis    = "Redis"
	toMarkSign = "MarkSign"
	toReceiver = "the receivers"

	aCommand = "command to Redis"
	aPoll    = "poll"
	aPost    = "post"
	aDelete  = "DELETE"

	theRecord = "change of a record to " // and to what
)

// simTrap waits for the n-th thing of a kind that a process does for a session, and
// strikes before it, or after it was done and before the answer came.
type simTrap struct {
	kind   string
	n      int
	before bool
	act    string
	lasts  time.Duration

	seen int
}

// What a trap does.
const (
	trapKills   = "kill"
	trapFreezes = "suspend"
	trapStops   = "stop"
	trapLoses   = "lose the answer"
	trapDelays  = "delay"
	trapCuts    = "cut the way"
)

// simProcess is one worker, with everything that leads out of it.
type simProcess struct {
	name   string
	slot   int
	with   simSettings
	world  *simWorld
	rdb    simClient
	worker *Worker
	logs   logBuffer
	gather *prometheus.Registry
	cancel context.CancelFunc
	done   chan struct{} // closed when Run returned
	err    error         // of Run
	born   time.Time
	// stranger was told another number of shards.
	stranger bool
	agreed   time.Time // when Redis told it the number of shards

	mu     sync.Mutex
	dead   bool
	killed chan struct{} // closed with dead
	diedAt time.Time
	// handedBack: its stop left its sessions to others.
	handedBack bool
	running    map[string]bool // the sessions whose task ran when it was killed
	frozen     chan struct{}   // closed when it goes on; nil while it runs
	sleep      *simIncident
	cuts       map[string]time.Time // until when a way is cut
	tokens     [2]int               // its access tokens
	readings   []simReading
	traps      []*simTrap
}

// fate is what becomes of one thing that a process does.
type fate struct {
	lost bool // it is not done
	trap *simTrap
	way  string
}

// awaitRunning returns when the process runs, or false if it is dead.
func (p *simProcess) awaitRunning() bool {
	for {
		p.mu.Lock()
		dead, frozen := p.dead, p.frozen
		p.mu.Unlock()
		if dead || frozen == nil {
			return !dead
		}
		select {
		case <-frozen:
		case <-p.killed:
		}
	}
}

func (p *simProcess) isCut(way string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.cuts[way])
}

// kindOf is what a way carries.
var wayOf = map[string]string{aCommand: toRedis, aPoll: toMarkSign, aDelete: toMarkSign, aPost: toReceiver}

// enter is passed by everything that a process does outside, before it is done.
func (p *simProcess) enter(kind string, counts bool, what string) fate {
	f := fate{way: wayOf[kind]}
	if !p.awaitRunning() || p.isCut(f.way) {
		f.lost = true
		return f
	}
	if counts {
		f.trap = p.spring(kind)
	}
	if f.trap == nil {
		return f
	}
	p.world.log.say("%s: its %s %d is %s", p.name, kind, f.trap.n, what)
	if !f.trap.before {
		return f
	}
	trap := f.trap
	f.trap = nil
	late, lost := p.suffer(trap, f.way)
	if kind == aCommand {
		late = min(late, mostUpload) // go-redis gives up waiting for an answer a little later
	}
	time.Sleep(late)
	f.lost = lost || !p.awaitRunning()
	return f
}

const mostUpload = 2500 * time.Millisecond

// leave is passed after it was done, and says how late the answer is, or that it
// is lost.
func (p *simProcess) leave(f fate) (late time.Duration, lost bool) {
	if f.trap != nil {
		late, lost = p.suffer(f.trap, f.way)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return late, lost || p.dead
}

// spring returns the trap that this thing springs, if any.
func (p *simProcess) spring(kind string) *simTrap {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sprung *simTrap
	for _, t := range p.traps {
		if t.kind != kind {
			continue
		}
		if t.seen++; t.seen == t.n && sprung == nil {
			sprung = t
		}
	}
	return sprung
}

// suffer does what a trap does.
func (p *simProcess) suffer(t *simTrap, way string) (late time.Duration, lost bool) {
	switch t.act {
	case trapKills:
		p.kill()
		return 0, true
	case trapFreezes:
		p.freeze(t.lasts)
	case trapStops:
		go p.stop()
	case trapLoses:
		p.disturbed(way, 0)
		return 0, true
	case trapDelays:
		p.disturbed(way, t.lasts)
		return t.lasts, false
	case trapCuts:
		p.cutWay(way, t.lasts)
		return 0, true
	}
	return 0, false
}

func (p *simProcess) disturbed(way string, lasts time.Duration) {
	in := p.world.log.note(wayDisturbed, p.name)
	in.way, in.to = way, time.Now().Add(lasts)
}

// cutWay breaks a way for a while.
func (p *simProcess) cutWay(way string, lasts time.Duration) {
	p.world.log.say("%s: its way to %s is cut for %v", p.name, way, lasts)
	p.disturbed(way, lasts)
	p.mu.Lock()
	p.cuts[way] = time.Now().Add(lasts)
	p.mu.Unlock()
	if way == toRedis {
		p.world.redis.cut(p)
	}
}

// kill ends it as kill -9 does: nothing of it reaches anybody any more.
func (p *simProcess) kill() {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return
	}
	p.dead, p.diedAt = true, time.Now()
	close(p.killed)
	p.mu.Unlock()
	for _, v := range p.world.all() {
		if p.world.redis.mini.HGet(v.task(simFollow), "state") == "active" {
			p.running[v.token] = true
		}
	}
	p.world.log.say("%s is killed", p.name)
	p.world.log.moment(wasKilled, p.name)
	p.world.redis.cut(p)
	p.cancel()
}

// freeze suspends it for a while, as SIGSTOP does.
func (p *simProcess) freeze(lasts time.Duration) {
	p.mu.Lock()
	if p.dead || p.frozen != nil {
		p.mu.Unlock()
		return
	}
	p.frozen = make(chan struct{})
	p.sleep = p.world.log.note(wasFrozen, p.name)
	p.mu.Unlock()
	p.world.log.say("%s is suspended for %v", p.name, lasts)
	time.AfterFunc(lasts, p.thaw)
}

func (p *simProcess) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		return
	}
	close(p.frozen)
	p.frozen = nil
	p.world.log.over(p.sleep)
}

func (p *simProcess) isAlive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

func (p *simProcess) frozenNow() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frozen
}

// stop ends it as SIGTERM does, and waits.
func (p *simProcess) stop() {
	if !p.awaitRunning() {
		return
	}
	in := p.world.log.note(wasStopped, p.name)
	defer p.world.log.over(in)
	p.world.log.say("%s is stopped", p.name)
	p.cancel()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead { // it exits now, and with it whatever it left behind
		p.dead, p.diedAt, p.handedBack = true, time.Now(), p.err == nil
		close(p.killed)
		go p.world.redis.cut(p)
	}
}

// run runs the worker.
func (p *simProcess) run(ctx context.Context) {
	defer close(p.done)
	p.err = p.worker.Run(ctx)
	if p.err != nil && p.isAlive() {
		p.world.log.say("%s ends: %v", p.name, p.err)
		p.world.log.note(stopCutShort, p.name)
	}
}

func (w *simWorld) start(slot int, with simSettings) *simProcess {
	p, ctx := w.newProcess(slot, with, w.plan.Shards)
	p.traps, w.laid[slot] = w.laid[slot], nil
	w.processes = append(w.processes, p)
	w.slots[slot] = p
	w.log.say("%s starts: %s", p.name, with)
	w.log.moment(newcomer, "")
	w.endChanges()
	go p.run(ctx)
	return p
}

// newProcess makes a process that is to run with the context returned.
func (w *simWorld) newProcess(slot int, with simSettings, shards int) (*simProcess, context.Context) {
	p := &simProcess{
		name: fmt.Sprintf("w%d.%d", slot, len(w.processes)), slot: slot, with: with, world: w, born: time.Now(),
		done: make(chan struct{}), killed: make(chan struct{}), cuts: map[string]time.Time{}, running: map[string]bool{}, gather: prometheus.NewRegistry(),
	}
	p.rdb = w.redis.client(p)
	opts := Options{
		Redis: p.rdb, Shards: shards, OutcomeKeys: simOutcomeKeys(with.keys), Pace: with.pace, PollWorkers: with.polls, FollowLimit: with.limit,
		Lease: with.lease, SessionTimeout: with.session, DeliveryWindow: with.window, DeliveryTimeout: with.delivery,
		DeliveryConcurrency: with.posts, RedeliveryWindow: with.redelivery, ShutdownTimeout: with.delivery + 3*time.Second,
		Logger: slog.New(slog.NewTextHandler(&p.logs, nil)),
	}
	if w.plan.Metrics {
		opts.Metrics = p.gather
	}
	for i, account := range simAccounts {
		p.tokens[i] = w.tokens[i].file
		opts.Accounts = append(opts.Accounts, w.workerAccount(p, i, account))
	}
	worker, err := New(opts)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.worker, p.cancel = worker, cancel
	return p, ctx
}

func (w *simWorld) workerAccount(p *simProcess, i int, name string) Account {
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: w.signer, Timeout: p.with.delivery, Transport: simReceiverWay{p}})
	if err != nil {
		panic(err)
	}
	a := Account{
		Name: name, Sender: sender, CallbackURL: "https://" + simHosts[i] + "/callback",
		MarkSign: MarkSign{BaseURL: "https://" + name + ".marksign.example", AccessToken: simAccessToken(name, p.tokens[i]), Timeout: 4 * time.Second, Transport: simMarkSignWay{p, w.markSigns[i], name}},
	}
	if p.with.taskKeys {
		a.TaskKeys = simTaskKeys
	}
	return a
}

// simMarkSignWay is a process's way to an account's MarkSign.
type simMarkSignWay struct {
	p    *simProcess
	sim  *marksim.Simulator
	name string
}

func (m simMarkSignWay) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := aPoll
	if r.Method == http.MethodDelete {
		kind = aDelete
	}
	token := sessionIn([]string{"", r.URL.Path})
	f := m.p.enter(kind, true, token)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if f.lost {
		return nil, io.EOF
	}
	m.p.world.log.sawCall(simCall{m.p, kind == aDelete, token, time.Now()})
	resp, err := m.sim.RoundTrip(r)
	if gone := m.p.answered(r.Context(), f); gone != nil {
		return nil, gone
	}
	return resp, err
}

// answered waits for the answer of an HTTP call, and returns why it does not come.
func (p *simProcess) answered(ctx context.Context, f fate) error {
	late, lost := p.leave(f)
	if lost {
		return io.EOF
	}
	if late > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(late):
		}
	}
	if !p.awaitRunning() {
		return io.EOF
	}
	return ctx.Err()
}

// simReceiverWay is a process's way to the receivers.
type simReceiverWay struct{ p *simProcess }

var errRefusedHere = errors.New("connection refused")

func (s simReceiverWay) RoundTrip(r *http.Request) (*http.Response, error) {
	w := s.p.world
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f := s.p.enter(aPost, true, "a post to "+r.URL.Host)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if f.lost {
		return nil, io.EOF
	}
	host := w.hosts[r.URL.Host]
	if host == nil {
		w.accuse("promise 7", "", "a post to %s, which nobody asked for", r.URL.Host)
		return nil, errRefusedHere
	}
	post, header, err := host.serve(s.p, r, body)
	if err != nil {
		return nil, err
	}
	if gone := s.p.answered(r.Context(), f); gone != nil {
		return nil, gone
	}
	post.heard = true
	return &http.Response{
		StatusCode: post.status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: http.NoBody, Request: r,
	}, nil
}
