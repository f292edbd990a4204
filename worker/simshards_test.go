package worker

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/shards"
)

// shardAbsence is how nobody reaches a shard, while the others work.
type shardAbsence string

const (
	shardDown  shardAbsence = "CLUSTERDOWN Hash slot not served"
	shardDrops shardAbsence = "breaks connections"
	shardHangs shardAbsence = "does not answer"
)

// noShard stands for the keys that are in no shard: the number of shards, and what asynq
// tells its tools. No session needs them.
const noShard = "no shard"

// tag is the hash tag of the shard of a step.
func (s simStep) tag() string {
	if s.n < 0 {
		return noShard
	}
	return "identwatch-" + strconv.Itoa(s.n)
}

// shards draws over how many shards the sessions are spread, and when a shard is away.
// The dice are its own: most seeds have one shard, and their other steps stay as they are.
func (d simDice) shards() {
	d.Rand = rand.New(rand.NewPCG(d.plan.Seed, 11))
	d.plan.Shards = 1
	if d.chance(90) { // each shard has servers of its own, which take time
		return
	}
	d.plan.Shards = pickOne(d, 2, 2, 2, 3, 3, 8)
	if d.chance(60) {
		d.quiet()
		return
	}
	if d.chance(30) {
		d.plan.Steps = append(d.plan.Steps, simStep{at: d.upTo(d.long), do: "a worker with other shards", settings: d.settings()})
	}
	for range 1 + d.IntN(3) {
		s := simStep{at: d.upTo(d.long), do: "a shard is away", absence: pickOne(d, shardDown, shardDrops, shardHangs), lasts: d.between(500*time.Millisecond, 15*second)}
		s.n = d.IntN(d.plan.Shards)
		if d.chance(25) {
			s.n = -1
		}
		d.plan.Steps = append(d.plan.Steps, s)
	}
}

// quiet leaves nothing of a life but its sessions, able workers, a death perhaps, and one
// shard that is away for most of it: then nothing excuses the sessions of the others.
func (d simDice) quiet() {
	var enqueued []simStep
	for _, s := range d.plan.Steps {
		if s.do == "enqueue" {
			s.at = second + d.upTo(9*second)
			s.visit.person.AfterMin = d.upTo(6 * second)
			enqueued = append(enqueued, s)
		}
	}
	with := d.settings()
	with.limit, with.polls, with.posts = 50, 32, pickOne(d, 4, 32)
	d.plan.Steps = enqueued
	for slot := range 2 {
		d.plan.Steps = append(d.plan.Steps, simStep{do: "start", slot: slot, settings: with})
	}
	if d.chance(40) {
		d.plan.Steps = append(d.plan.Steps, simStep{at: d.between(4*second, 9*second), do: "kill", slot: 1})
	}
	away := simStep{at: d.between(second, 4*second), do: "a shard is away", n: d.IntN(d.plan.Shards+1) - 1, lasts: 25 * second, absence: pickOne(d, shardDown, shardDrops, shardHangs)}
	d.plan.Steps = append(d.plan.Steps, away, simStep{at: 30 * second, do: "the end", n: -1})
}

// startStranger starts a worker that was told another number of shards.
func (w *simWorld) startStranger(with simSettings) {
	if !w.redis.mini.Exists("identwatch:shards") {
		return // it would be the first, and decide
	}
	p, ctx := w.newProcess(simSlots, with, w.plan.Shards+1)
	p.stranger = true
	w.strangers = append(w.strangers, p)
	w.log.say("%s starts with %d shards", p.name, w.plan.Shards+1)
	go p.run(ctx)
}

// asks accuses a worker with another number of shards of all that it asks Redis, but for
// the number.
func (p *simProcess) asks(args []string) {
	if keys := keysOf(args); len(keys) > 0 && (!strings.EqualFold(args[0], "GET") || keys[0] != "identwatch:shards") {
		p.world.accuse(promiseShards, "", "%s has other shards, and asks Redis for %.100s", p.name, args)
	}
}

const promiseShards = "the number of shards is part of the data"

// checkStrangers: a worker with another number of shards is refused.
func (w *simWorld) checkStrangers() {
	for _, p := range w.strangers {
		select {
		case <-p.done:
			if !errors.Is(p.err, shards.ErrOther) {
				w.accuse(promiseShards, "", "%s has other shards, and ended with %v", p.name, p.err)
			}
		default:
			w.accuse(promiseShards, "", "%s has other shards, and was not refused", p.name)
		}
		w.log.count("a worker with other shards was refused")
	}
}

// leaves makes a shard unreachable, and returns ends that.
func (r *simRedis) leaves(tag string, how shardAbsence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away[tag] = how
}

func (r *simRedis) returns(tag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.away, tag)
}

func (r *simRedis) returnAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.away)
}

func (r *simRedis) absence(tag string) shardAbsence {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasPrefix(tag, "identwatch-") {
		tag = noShard
	}
	return r.away[tag]
}

const crossSlot = "CROSSSLOT Keys in request don't hash to the same slot"

// reaches reports whether a command reaches the shard that it is for. If not, it does to
// the connection what the absence is like. It also refuses what a cluster refuses.
func (c *simConn) reaches(args []string) bool {
	r := c.redis
	if r.shards == 1 || c.calm {
		return true
	}
	keys := keysOf(args)
	if len(keys) == 0 {
		return true
	}
	tag := hashTag(keys[0])
	for _, key := range keys[1:] {
		if hashTag(key) != tag {
			r.crosses(strings.ToLower(args[0]) + " names keys of more than one slot: " + strings.Join(keys, " "))
			c.peer.WriteError(crossSlot)
			return false
		}
	}
	switch how := r.absence(tag); how {
	case "":
		c.agrees(keys[0])
		return true
	case shardDrops:
		c.snap()
	case shardHangs:
		c.stuck = true
	default:
		c.peer.WriteError(string(how))
	}
	return false
}

// agrees notes when a worker was told the number of shards, before which it does nothing.
func (c *simConn) agrees(key string) {
	if c.p == nil || key != "identwatch:shards" {
		return
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.agreed.IsZero() {
		c.p.agreed = time.Now()
	}
}

// begins is when a worker began to work.
func (p *simProcess) begins() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.world.plan.Shards == 1:
		return p.born
	case p.agreed.IsZero():
		return p.born.Add(1_000 * time.Hour) // never
	}
	return p.agreed
}

// seesAbsence counts what a check expected although another shard was away.
func (c *simCase) seesAbsence(what string, from, to time.Time) {
	for _, shard := range c.world.shards.All() {
		if tag := hashTag(shard.Key("")); c.world.plan.Shards > 1 && c.world.log.find(from, to, []string{tag, noShard}, redisIll) != nil {
			c.world.log.count(what + " though another shard was away")
			return
		}
	}
}

// keysOf are the keys that a command declares.
func keysOf(args []string) []string {
	switch strings.ToUpper(args[0]) {
	case "EVAL", "EVALSHA":
		n, err := strconv.Atoi(args[2])
		if err != nil || len(args) < 3+n {
			return nil
		}
		return args[3 : 3+n]
	case "DEL", "EXISTS", "UNLINK", "MGET", "TOUCH":
		return args[1:]
	case "SCAN":
		for i, a := range args[:len(args)-1] {
			if strings.EqualFold(a, "MATCH") {
				return args[i+1 : i+2]
			}
		}
		return nil
	case "PING", "HELLO", "CLIENT", "INFO", "TIME", "WAIT", "SCRIPT", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "MULTI", "EXEC":
		return nil
	}
	return args[1:min(2, len(args))]
}

// hashTag is what of a key decides its slot in a cluster.
func hashTag(key string) string {
	_, rest, found := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(rest, "}"); found && closed && tag != "" {
		return tag
	}
	return key
}
