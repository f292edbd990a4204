package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// The accounts and receivers of a simulation. Each account posts to the host of the
// same place, unless a session names another.
var (
	simAccounts = []string{"default", "second"}
	simHosts    = []string{"a.example", "b.example", "c.example"}
)

const (
	// intruder is as long as a host of simHosts, so that it fits into a task's bytes.
	intruder   = "x.example"
	personMark = "MARKED"
)

var (
	simTaskKeys = []tasks.PayloadKey{tasks.NewPayloadKey(), tasks.NewPayloadKey()}
	simSecrets  = []webhook.Secret{webhook.NewSecret(), webhook.NewSecret()}
)

// simOutcomeKeys are two keys, in an order that rotates: each opens what the other
// process sealed.
func simOutcomeKeys(first int) [][]byte {
	keys := [][]byte{[]byte("0123456789-first-MARKED-89abcdef"), []byte("0123456789-other-MARKED-89abcdef")}
	if first == 1 {
		slices.Reverse(keys)
	}
	return keys
}

// simWorld is everything of one simulation, in a bubble of virtual time.
type simWorld struct {
	plan      simPlan
	log       *simLog
	redis     *simRedis
	shards    session.Shards
	rdb       simClient // of the application and the operator
	clients   []*tasks.Client
	tasks     *asynq.Inspector
	admin     *admin.Sessions
	signer    *webhook.Signer
	markSigns []*marksim.Simulator // one for each account
	hosts     map[string]*simHost
	slots     [simSlots]*simProcess
	laid      [simSlots][]*simTrap // for workers that are not started yet
	processes []*simProcess
	strangers []*simProcess // with another number of shards
	base      time.Time     // when the schedule began, later by every pause
	healed    time.Time
	apps      sync.WaitGroup
	planted   []simPlanted
	tokens    [2]simTokens   // of simAccounts
	late      sync.WaitGroup // what a suspended worker does later

	mu       sync.Mutex
	visits   map[string]*simVisit
	findings []simFinding
	excuses  map[string]int
}

func newSimWorld(p simPlan) *simWorld {
	w := &simWorld{plan: p, log: newSimLog(), hosts: map[string]*simHost{}, visits: map[string]*simVisit{}, excuses: map[string]int{}}
	var err error
	w.shards, err = session.NewShards(p.Shards)
	w.must(err)
	w.redis = newSimRedis(w.log, p.Shards)
	w.redis.crosses = func(what string) { w.accuse("a shard's keys have one slot", "", "%s", what) }
	w.rdb = w.redis.client(nil)
	key := tasks.PayloadKey{}
	if p.Signed {
		key = simTaskKeys[p.Seed%2]
	}
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: w.rdb, Shards: p.Shards, Retention: p.Retention, PayloadKey: key})
	w.must(err)
	w.clients = []*tasks.Client{client}
	w.tasks, w.admin = asynq.NewInspectorFromRedisClient(queue.Known(w.rdb, w.shards)), admin.New(w.rdb, w.shards)
	w.signer, err = webhook.NewSigner(simSecrets, nil)
	w.must(err)
	for _, name := range simAccounts {
		w.markSigns = append(w.markSigns, marksim.New(marksim.Options{AccessToken: simAccessToken(name, 0), Seed: p.Seed + 1}))
	}
	for _, name := range simHosts {
		w.hosts[name] = &simHost{name: name, world: w}
	}
	return w
}

func (w *simWorld) must(err error) {
	if err != nil {
		panic(err)
	}
}

// accuse notes a promise that was broken.
func (w *simWorld) accuse(promise, token, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = append(w.findings, simFinding{promise, token, fmt.Sprintf(format, args...)})
}

// excuse counts what an exception of a promise allowed.
func (w *simWorld) excuse(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.excuses[what]++
}

// simMood is how a host answers.
type simMood struct {
	name   string
	share  int // of 100 posts
	status int
	header http.Header
	after  time.Duration
	refuse bool // connections
	cut    bool // after it read and took the event
}

// simHost is a receiver, which verifies every post.
type simHost struct {
	name  string
	world *simWorld

	mu    sync.Mutex
	mood  simMood
	posts int
}

func (h *simHost) set(m simMood) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mood = m
}

// next is how the next post is answered.
func (h *simHost) next() simMood {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.posts++
	m := h.mood
	if m.name == "" || h.posts*37%100 >= m.share {
		return simMood{status: http.StatusNoContent}
	}
	return m
}

// serve takes one post, until it is answered or the sender is gone.
func (h *simHost) serve(by *simProcess, r *http.Request, body []byte) (*simPost, http.Header, error) {
	m := h.next()
	if m.refuse {
		return nil, nil, errRefusedHere
	}
	post := &simPost{by: by, host: h.name, id: r.Header.Get("webhook-id"), begun: time.Now(), body: string(body)}
	h.verify(r, body, post)
	h.world.seeKept(post)
	post.status, post.asks = m.status, m.header != nil
	if !by.stays(r, m.after) {
		post.status = 0
	}
	post.end = time.Now()
	h.world.log.sawPost(post)
	if post.status == 0 {
		return post, nil, errCut
	}
	if m.cut {
		return post, nil, errCut
	}
	return post, m.header, nil
}

func (h *simHost) verify(r *http.Request, body []byte, post *simPost) {
	if err := (webhook.Verifier{Secrets: simSecrets[:1]}).Verify(r.Header, body); err != nil {
		h.world.accuse("the event", "", "a post's signature: %v", err)
	}
	event, err := webhook.Parse(body)
	if err != nil {
		h.world.accuse("the event", "", "a post's body: %v", err)
	}
	post.event, post.token = event, event.Data.Token
}

// seeKept notes for how long the sealed result is kept, and for how long that is asked for.
func (w *simWorld) seeKept(p *simPost) {
	v := w.visit(p.token)
	if v == nil || outcome.State(w.redis.mini.HGet(v.key(), "state")) == outcome.Redelivering {
		return
	}
	final, err := strconv.ParseInt(w.redis.mini.HGet(v.key(), "final"), 10, 64)
	if err != nil {
		return
	}
	w.log.mu.Lock()
	p.claimed = w.log.claims[p.token].at
	w.log.mu.Unlock()
	p.kept = w.redis.mini.TTL(v.sealed())
	p.wants = p.by.with.window - time.Since(time.UnixMilli(final))
}

// stays reports whether the sender is there still when the time is over. One that is
// suspended does not leave.
func (p *simProcess) stays(r *http.Request, after time.Duration) bool {
	timer := time.NewTimer(after)
	defer timer.Stop()
	left := r.Context().Done()
	var thawed chan struct{}
	for {
		select {
		case <-timer.C:
			return true
		case <-p.killed:
			return false
		case <-left:
			if thawed = p.frozenNow(); thawed == nil {
				return false
			}
			left = nil
		case <-thawed:
			if p.frozenNow() == nil {
				return false
			}
			thawed = p.frozenNow()
		}
	}
}

// simVisit is one session, and what its person does.
type simVisit struct {
	token   string
	account int
	host    int // -1: the account's
	method  string
	checks  []tasks.Check
	person  marksim.Person
	shard   session.Shard

	accepted  time.Time
	canceled  time.Time
	deleted   bool      // its task, by an operator
	forgotten bool      // by MarkSign
	lost      bool      // Redis lost all of it
	evicted   bool      // Redis lost its record
	unsealed  bool      // Redis lost its sealed result alone
	further   time.Time // when its record was lost, though a task proves its outcome
	ranOver   time.Time // when an operator ran its tasks, though it was over and its record gone
	again     int       // redeliveries asked for
	rewritten bool
}

func (v *simVisit) id() string { return v.name().ID() }

func (v *simVisit) name() session.Name {
	return session.Job{Account: simAccounts[v.account], Token: v.token}.Name()
}

// key is the session's record, sealed its sealed result, and task its task of a queue.
func (v *simVisit) key() string    { return v.shard.Key(v.id()) }
func (v *simVisit) sealed() string { return v.key() + ":sealed" }
func (v *simVisit) task(queue string) string {
	return "asynq:{" + v.shard.Queue(queue) + "}:t:" + v.id()
}

// tag is the hash tag of the session's shard.
func (v *simVisit) tag() string { return hashTag(v.key()) }

func (v *simVisit) receiver() string {
	if v.host < 0 {
		return simHosts[v.account]
	}
	return simHosts[v.host]
}

func (v *simVisit) reference() string { return "order-" + v.token }

func (v *simVisit) session() tasks.Session {
	s := tasks.Session{
		Token: v.token, Account: simAccounts[v.account], Method: tasks.Method(v.method), Reference: v.reference(), Checks: v.checks,
	}
	if v.host >= 0 {
		s.CallbackURL = "https://" + simHosts[v.host] + "/own"
	}
	return s
}

// enqueue starts a session at MarkSign, and has it followed: the application
// insists until it is in.
func (w *simWorld) enqueue(v simVisit) {
	known := &v
	known.shard = w.shards.Of(v.id())
	w.mu.Lock()
	w.visits[v.token] = known
	w.mu.Unlock()
	w.markSigns[v.account].Add(v.token, v.method, v.person)
	w.apps.Go(func() { w.insist(known) })
}

func (w *simWorld) insist(v *simVisit) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := w.clients[0].Enqueue(ctx, v.session())
		cancel()
		if err == nil || errors.Is(err, tasks.ErrDuplicate) {
			w.mu.Lock()
			v.accepted = time.Now()
			w.mu.Unlock()
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// nth is the n-th session so far, nil if there is none.
func (w *simWorld) nth(n int) *simVisit { return w.visit(fmt.Sprint(tokenMark, n)) }

func (w *simWorld) visit(token string) *simVisit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.visits[token]
}

// all are the sessions, in the order of their tokens.
func (w *simWorld) all() []*simVisit {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*simVisit
	for _, v := range w.visits {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *simVisit) int { return strings.Compare(a.token, b.token) })
	return all
}

// rewrite is what an intruder does who can write to Redis: it changes where the
// tasks of a session say that its event is posted. undo takes it back.
func (w *simWorld) rewrite(v *simVisit, queues []string, undo bool) {
	from, to := "https://"+v.receiver()+"/", "https://"+intruder+"/"
	if undo {
		from, to = to, from
	}
	for _, queue := range queues {
		key := v.task(queue)
		msg := w.redis.mini.HGet(key, "msg")
		if strings.Contains(msg, from) {
			w.redis.mini.HSet(key, "msg", strings.ReplaceAll(msg, from, to))
			v.rewritten = true
			if !undo {
				w.log.say("somebody rewrites %s of %s", queue, v.token)
			}
		}
	}
}

// loseTheLast restarts Redis without what was written in the time given, which is
// what appendfsync everysec may lose.
func (w *simWorld) loseTheLast(span, away time.Duration) {
	saved := w.redis.save()
	before := w.fingerprints(saved)
	in, ill := w.log.note(redisLost, ""), w.log.note(redisIll, "")
	ill.to = time.Now().Add(span + away)
	time.Sleep(span)
	after := w.fingerprints(w.redis.save())
	w.redis.falls(redisRefuses)
	w.redis.restore(saved, span)
	w.log.mu.Lock()
	in.tokens, in.to = map[string]bool{}, time.Now()
	w.log.mu.Unlock()
	time.AfterFunc(away, func() { w.redis.recovers(redisRefuses) })
	for _, v := range w.all() {
		if before[v.token] != after[v.token] {
			in.tokens[v.token] = true
		}
		w.log.sawRecord(w.redis, nil, v.key(), true)
		v.lost = v.lost || in.tokens[v.token] && !w.hasTask(v, simQueues...) && !v.deleted && !w.isOver(v)
	}
	w.log.say("Redis loses its last %v, and is away for %v", span, away)
}

// fingerprints say what Redis holds of each session.
func (w *simWorld) fingerprints(saved map[string]simKept) map[string]string {
	parts := map[string][]string{}
	for key, k := range saved {
		if token := sessionIn([]string{"", key}); token != "" {
			parts[token] = append(parts[token], fmt.Sprint(key, k.text, k.hash))
		}
		for _, id := range k.list {
			parts[sessionIn([]string{"", id})] = append(parts[sessionIn([]string{"", id})], key)
		}
		for id, score := range k.zset {
			parts[sessionIn([]string{"", id})] = append(parts[sessionIn([]string{"", id})], fmt.Sprint(key, score))
		}
	}
	prints := map[string]string{}
	for token, p := range parts {
		slices.Sort(p)
		prints[token] = strings.Join(p, "\n")
	}
	return prints
}

// loseLeases takes asynq's leases of active tasks away (hibiken/asynq#1144).
func (w *simWorld) loseLeases() {
	for _, shard := range w.shards.All() {
		for _, queue := range simQueues {
			w.redis.mini.Del("asynq:{" + shard.Queue(queue) + "}:lease")
		}
	}
}

// The queues, as the only shard names them.
const (
	simFollow  = "identwatch-follow"
	simDeliver = "identwatch-deliver"
	simRemove  = "identwatch-remove"
)

var simQueues = []string{simFollow, simDeliver, simRemove}

// checkPublic searches what everybody may see for what must not be there.
func (w *simWorld) checkPublic() {
	places := map[string]string{"Redis": w.redis.dump()}
	for _, p := range w.processes {
		places["the log of "+p.name] = p.logs.String()
		if w.plan.Metrics {
			places["the metrics of "+p.name] = metricsText(p.gather)
		}
	}
	marks := []string{personMark, simSecrets[0].Encode(), simTaskKeys[0].Encode()}
	for _, v := range w.all() {
		marks = append(marks, v.person.Code)
	}
	for where, text := range places {
		for _, mark := range marks {
			if at := strings.Index(text, mark); at >= 0 {
				w.log.leak(where, text, at)
			}
		}
	}
	for _, leak := range w.log.leaks {
		w.accuse("4: personal data stays out of sight", "", "%s", leak)
	}
}

func metricsText(g prometheus.Gatherer) string {
	families, _ := g.Gather()
	var b bytes.Buffer
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}
