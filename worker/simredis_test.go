package worker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// simRedis is the embedded Redis of a simulation. Its clients are served in their
// own goroutines, without a pipe in between, and keys expire as the clock goes.
type simRedis struct {
	mini *miniredis.Miniredis
	log  *simLog
	turn sync.Mutex // of the command that is run

	mu    sync.Mutex
	skew  time.Duration // its clock against that of everybody else
	ill   redisIllness
	conns map[*simConn]bool
	away  map[string]shardAbsence // by the hash tag of the shard

	shards  int
	crosses func(what string) // is told of commands whose keys are of more than one slot
}

// redisIllness is how Redis fails.
type redisIllness string

const (
	redisWell    redisIllness = ""
	redisRefuses redisIllness = "refuses connections"
	redisLoads   redisIllness = "LOADING Redis is loading the dataset in memory"
	redisFull    redisIllness = "OOM command not allowed when used memory > 'maxmemory'."
)

func newSimRedis(log *simLog, shards int) *simRedis {
	r := &simRedis{mini: miniredis.NewMiniRedis(), log: log, conns: make(map[*simConn]bool), away: make(map[string]shardAbsence), shards: shards}
	if c, err := r.mini.Dial(); err == nil { // which makes it serve
		_ = c.Close()
	}
	r.mini.ClockTTL(true)
	return r
}

// client returns a client whose commands are a process's, or nobody's.
func (r *simRedis) client(p *simProcess) simClient {
	clientOf := func(dial func() (net.Conn, error)) *redis.Client {
		return redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", PoolSize: 50 * r.shards, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			Dialer:                   func(context.Context, string, string) (net.Conn, error) { return dial() },
		})
	}
	return simClient{clientOf(func() (net.Conn, error) { return r.dial(p) }), clientOf(r.dialCalm)}
}

// simClient subscribes over a way that nothing disturbs: go-redis waits with a lock
// held until it has subscribed again, and then time in the bubble stands still.
type simClient struct {
	*redis.Client
	calm *redis.Client
}

// Subscribe is how asynq hears of runs that an operator cancels.
func (c simClient) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	return c.calm.Subscribe(ctx, channels...)
}

func (c simClient) Close() error { return errors.Join(c.Client.Close(), c.calm.Close()) }

// dialCalm makes a connection that is never broken.
func (r *simRedis) dialCalm() (net.Conn, error) {
	c := &simConn{redis: r, calm: true, changed: make(chan struct{})}
	c.peer = server.NewPeer(bufio.NewWriter(&c.out))
	return c, nil
}

func (r *simRedis) dial(p *simProcess) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	if p != nil && !p.awaitRunning() {
		return nil, refused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ill == redisRefuses || p != nil && p.isCut(toRedis) {
		return nil, refused
	}
	c := &simConn{redis: r, p: p, changed: make(chan struct{})}
	c.peer = server.NewPeer(bufio.NewWriter(&c.out))
	r.conns[c] = true
	return c, nil
}

// falls makes Redis fail in a way, or be well again.
func (r *simRedis) falls(how redisIllness) {
	r.mu.Lock()
	r.ill = how
	r.mu.Unlock()
	if how == redisRefuses {
		r.cut(nil)
	}
}

// recovers ends one way of failing, unless Redis fails in another by now.
func (r *simRedis) recovers(from redisIllness) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ill == from {
		r.ill = redisWell
	}
}

// cut breaks the connections of a process, or of all.
func (r *simRedis) cut(p *simProcess) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if p == nil || c.p == p {
			c.snap()
			delete(r.conns, c)
		}
	}
}

func (r *simRedis) setSkew(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skew = d
}

// runSeen runs a command and looks at what it did, before another one is run.
func (r *simRedis) runSeen(c *simConn, session string, args []string) (became string) {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.run(c, args)
	return r.log.saw(r, c.p, session, args)
}

// run executes one command, and writes its answer to the peer.
func (r *simRedis) run(c *simConn, args []string) {
	r.mu.Lock()
	ill, skew := r.ill, r.skew
	r.mu.Unlock()
	if c.calm {
		ill = redisWell
	}
	name := strings.ToUpper(args[0])
	switch {
	case ill == redisLoads, ill == redisFull && (name == "EVALSHA" || name == "EVAL" || name == "ZADD" || name == "SADD" || name == "SET" || name == "SETEX"):
		c.peer.WriteError(string(ill))
		return
	}
	if skew != 0 {
		r.mini.SetTime(time.Now().Add(skew))
	}
	if name == "EVALSHA" && r.nothingToDo(c.peer, args, skew) {
		return
	}
	if name == "EVAL" {
		learnScript(args[1])
	}
	if name == "SUBSCRIBE" || name == "UNSUBSCRIBE" { // nobody publishes here, and miniredis keeps a goroutine for each
		c.peer.WritePushLen(3)
		c.peer.WriteBulk(strings.ToLower(name))
		c.peer.WriteBulk(args[len(args)-1])
		c.peer.WriteInt(map[bool]int{true: 1}[name == "SUBSCRIBE"])
		return
	}
	r.mini.Server().Dispatch(c.peer, args)
}

// idleScripts are the scripts that workers run all the time, by their hash. What
// they answer if there is nothing to do is known without Lua.
var idleScripts sync.Map

var idleMarks = map[string]string{
	`redis.call("RPOPLPUSH", KEYS[1], KEYS[3])`:                            "dequeue",
	`redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "LIMIT", 0, 10`: "forward",
	`local stale = tonumber(time[1]) + tonumber(ARGV[2])`:                  "sweep",
	`local late = redis.call('ZRANGEBYSCORE', set, '('`:                    "bring back",
}

func learnScript(text string) {
	sum := sha1.Sum([]byte(text))
	for mark, name := range idleMarks {
		if strings.Contains(text, mark) {
			idleScripts.Store(hex.EncodeToString(sum[:]), name)
		}
	}
}

// nothingToDo answers a script that changes nothing and answers nothing now.
func (r *simRedis) nothingToDo(peer *server.Peer, args []string, skew time.Duration) bool {
	name, known := idleScripts.Load(args[1])
	if !known || len(args) < 5 {
		return false
	}
	switch name {
	case "dequeue": // KEYS: pending, paused, …
		if !r.mini.Exists(args[3]) || r.mini.Exists(args[4]) {
			peer.WriteNull()
			return true
		}
	case "forward": // KEYS: the set, pending. ARGV: now, …
		if !r.hasScore(args[3], func(s float64) bool { return s <= toNumber(args[5]) }) {
			peer.WriteInt(0)
			return true
		}
	case "sweep": // KEYS: active, …
		if !r.mini.Exists(args[3]) {
			peer.WriteInt(0)
			return true
		}
	case "bring back": // KEYS: one set or two. ARGV: now, the longest pause, …
		n, _ := strconv.Atoi(args[2])
		late := max(float64(time.Now().Add(skew).Unix()), toNumber(args[3+n])) + toNumber(args[4+n])
		for _, key := range args[3 : 3+n] {
			if r.hasScore(key, func(s float64) bool { return s > late }) {
				return false
			}
		}
		peer.WriteInt(0)
		return true
	}
	return false
}

func (r *simRedis) hasScore(key string, matches func(float64) bool) bool {
	if !r.mini.Exists(key) {
		return false
	}
	scores, err := r.mini.SortedSet(key)
	if err != nil {
		return true
	}
	for _, s := range scores {
		if matches(s) {
			return true
		}
	}
	return false
}

func toNumber(text string) float64 {
	f, _ := strconv.ParseFloat(text, 64)
	return f
}

// simConn is a connection to simRedis, whose commands are executed as they are
// written. It is the place where a process is frozen, or loses an answer.
type simConn struct {
	redis *simRedis
	p     *simProcess // nil for the application and the operator
	calm  bool        // nothing ever happens to it
	peer  *server.Peer
	in    []byte

	mu       sync.Mutex
	buffered bytes.Buffer
	ready    time.Time // when the answer arrives
	broken   bool
	deadline time.Time
	changed  chan struct{} // closed when something above changed
	out      simOut
	stuck    bool // no answer comes any more
}

// simOut is where the peer writes to.
type simOut struct{ c *simConn }

func (o *simOut) Write(b []byte) (int, error) {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.buffered.Write(b)
	c.changes()
	return n, err
}

// changes wakes who waits; the lock is held.
func (c *simConn) changes() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *simConn) snap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	c.changes()
}

func (c *simConn) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// Write executes the commands that are whole.
func (c *simConn) Write(b []byte) (int, error) {
	c.out.c = c
	c.in = append(c.in, b...)
	for {
		args, rest, whole := parseCommand(c.in)
		if !whole {
			return len(b), nil
		}
		c.in = rest
		if c.isBroken() || c.stuck {
			return len(b), nil
		}
		c.execute(args)
	}
}

// execute runs one command, and does to it what the process's traps say.
func (c *simConn) execute(args []string) {
	r := c.redis
	session := sessionIn(args)
	if c.p != nil && c.p.stranger {
		c.p.asks(args)
	}
	if c.p == nil {
		if c.reaches(args) {
			r.runSeen(c, session, args)
		}
		c.peer.Flush()
		return
	}
	if session == "" && r.mini.Exists(args3(args)) && isDequeue(args) {
		session = "a task"
	}
	f := c.p.enter(aCommand, session != "", strings.ToLower(args[0])+" "+session)
	if f.lost {
		c.snap()
		return
	}
	if c.reaches(args) {
		if became := r.runSeen(c, session, args); became != "" && f.trap == nil {
			f.trap = c.p.spring(theRecord + became)
		}
	}
	late, lost := c.p.leave(f)
	if lost {
		c.snap()
		return
	}
	if late > 0 {
		c.mu.Lock()
		c.ready = time.Now().Add(late)
		c.mu.Unlock()
	}
	c.peer.Flush()
}

func args3(args []string) string {
	if len(args) > 3 {
		return args[3]
	}
	return ""
}

func isDequeue(args []string) bool {
	if !strings.EqualFold(args[0], "EVALSHA") {
		return false
	}
	name, _ := idleScripts.Load(args[1])
	return name == "dequeue"
}

// Read waits for the answer. A process that was frozen for longer than it would
// have waited finds its time over, though the answer is there.
func (c *simConn) Read(b []byte) (int, error) {
	for {
		if c.p != nil && !c.p.awaitRunning() {
			return 0, io.EOF
		}
		c.mu.Lock()
		now := time.Now()
		overdue := !c.deadline.IsZero() && !now.Before(c.deadline)
		arrived := c.buffered.Len() > 0 && !now.Before(c.ready)
		switch {
		case overdue && c.deadline.Before(now) || overdue && !arrived:
			c.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case arrived:
			n, err := c.buffered.Read(b)
			c.mu.Unlock()
			return n, err
		case c.broken:
			c.mu.Unlock()
			return 0, io.EOF
		}
		wait := time.Hour
		if c.buffered.Len() > 0 {
			wait = c.ready.Sub(now)
		}
		if !c.deadline.IsZero() {
			wait = min(wait, c.deadline.Sub(now))
		}
		changed := c.changed
		c.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (c *simConn) Close() error {
	c.snap()
	c.redis.mu.Lock()
	delete(c.redis.conns, c)
	c.redis.mu.Unlock()
	return nil
}

func (c *simConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.changes()
	return nil
}

func (c *simConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *simConn) SetWriteDeadline(time.Time) error { return nil }
func (c *simConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *simConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// parseCommand takes one command off the front of what was written.
func parseCommand(b []byte) (args []string, rest []byte, whole bool) {
	n, b, ok := parseLength(b, '*')
	if !ok {
		return nil, nil, false
	}
	args = make([]string, 0, n)
	for range n {
		var size int
		if size, b, ok = parseLength(b, '$'); !ok || len(b) < size+2 {
			return nil, nil, false
		}
		args = append(args, string(b[:size]))
		b = b[size+2:]
	}
	return args, b, true
}

func parseLength(b []byte, mark byte) (n int, rest []byte, ok bool) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 1 || b[0] != mark {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(b[1:end]))
	return n, b[end+2:], err == nil
}

// tokenMark begins every token of a simulation, so that commands that name a
// session are known from others.
const tokenMark = "tok-"

// sessionIn is the token that a command names, the first of several.
func sessionIn(args []string) string {
	for _, a := range args[1:] {
		if len(a) > 512 {
			continue
		}
		if i := strings.Index(a, tokenMark); i >= 0 {
			end := i + len(tokenMark)
			for end < len(a) && a[end] >= '0' && a[end] <= '9' {
				end++
			}
			return a[i:end]
		}
	}
	return ""
}

// simKept is a key as a Redis that restarts still has it.
type simKept struct {
	kind  string
	text  string
	hash  map[string]string
	list  []string
	zset  map[string]float64
	until time.Duration
}

// save copies all that Redis holds.
func (r *simRedis) save() map[string]simKept {
	saved := map[string]simKept{}
	for _, key := range r.mini.Keys() {
		saved[key] = r.saveKey(key)
	}
	return saved
}

func (r *simRedis) saveKey(key string) simKept {
	k := simKept{kind: r.mini.Type(key), until: r.mini.TTL(key)}
	switch k.kind {
	case "string":
		k.text, _ = r.mini.Get(key)
	case "hash":
		k.hash = map[string]string{}
		fields, _ := r.mini.HKeys(key)
		for _, field := range fields {
			k.hash[field] = r.mini.HGet(key, field)
		}
	case "list":
		k.list, _ = r.mini.List(key)
	case "set":
		k.list, _ = r.mini.Members(key)
	case "zset":
		scores, _ := r.mini.SortedSet(key)
		k.zset = maps.Clone(scores)
	}
	return k
}

// restore puts back what was saved, and nothing else.
func (r *simRedis) restore(saved map[string]simKept, later time.Duration) {
	r.mini.FlushAll()
	for key, k := range saved {
		switch k.kind {
		case "string":
			_ = r.mini.Set(key, k.text)
		case "hash":
			for field, value := range k.hash {
				r.mini.HSet(key, field, value)
			}
		case "list":
			_, _ = r.mini.Push(key, k.list...)
		case "set":
			_, _ = r.mini.SetAdd(key, k.list...)
		case "zset":
			for member, score := range k.zset {
				_, _ = r.mini.ZAdd(key, score, member)
			}
		}
		if k.until > 0 {
			r.mini.SetTTL(key, max(k.until-later, time.Millisecond))
		}
	}
}

// dump is all that Redis holds, as text.
func (r *simRedis) dump() string {
	var b strings.Builder
	for _, key := range r.mini.Keys() {
		k := r.saveKey(key)
		b.WriteString(key + " = " + k.text)
		for field, value := range k.hash {
			b.WriteString(" " + field + ":" + value)
		}
		b.WriteString(strings.Join(k.list, " "))
		for member, score := range k.zset {
			b.WriteString(" " + member + ":" + strconv.FormatFloat(score, 'f', -1, 64))
		}
		if k.until > 0 {
			b.WriteString(" (for " + k.until.String() + ")")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
