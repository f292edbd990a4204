package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// Marks of bad input: no log and no error may show the first, and Redis never gets the
// second.
const (
	garbleMark  = "GARBLED"
	refusedMark = "REFUSED"
)

// simGarbage is what somebody can put into a queue that no worker can use. It is archived
// by its first run, or waits for a worker that can use it.
type simGarbage struct {
	what    string
	queues  []string // that it may be in; none is all
	waits   bool
	payload func(id session.Name) string
}

var simGarbages = []simGarbage{
	{what: "no JSON", payload: func(session.Name) string { return garbleMark + "{" }},
	{what: "nothing", payload: func(session.Name) string { return "" }},
	{what: "JSON of another shape", payload: func(session.Name) string { return `["` + garbleMark + `"]` }},
	{what: "too large a text", payload: func(session.Name) string { return strings.Repeat(garbleMark, 20_000) }},
	{what: "too large a field", payload: func(id session.Name) string {
		return simPayload(id, `"method":"smart_id","reference":"`+strings.Repeat(garbleMark, 5_000)+`"`)
	}},
	{what: "a field of the wrong type", payload: func(session.Name) string { return `{"v":1,"token":{"` + garbleMark + `":1}}` }},
	{what: "a version that nobody reads any more", payload: func(id session.Name) string {
		return strings.Replace(simPayload(id, `"method":"smart_id"`), `"v":1`, `"v":0`, 1)
	}},
	{what: "a later version", waits: true, payload: func(session.Name) string { return `{"v":3,"new":"` + garbleMark + `"}` }},
	{what: "an unknown method", payload: func(id session.Name) string { return simPayload(id, `"method":"`+garbleMark+`"`) }},
	{what: "another session", payload: func(session.Name) string {
		return simPayload(session.Job{Token: "other-" + garbleMark}.Name(), `"method":"smart_id"`)
	}},
	{what: "an unknown account", waits: true, payload: func(id session.Name) string { return simPayload(id, `"method":"smart_id"`) }},
	{what: "a session that nobody enqueued", queues: simQueues[1:], payload: func(id session.Name) string { return simPayload(id, `"method":"smart_id"`) }},
}

func simPayload(id session.Name, fields string) string {
	return fmt.Sprintf(`{"v":1,"token":%q,"account":%q,"retention_s":3600,%s}`, id.Token(), id.Account(), fields)
}

// simPlanted is one bad task.
type simPlanted struct {
	simGarbage
	queue, typ string
	name       string // of the queue in Redis
	id         string
	token      string
	at, base   time.Time // when it was enqueued, and when the schedule had begun
}

// simBadTokens are numbers that no session of a schedule has.
const simBadTokens = 9000

func (d simDice) badTask(s *simStep) {
	s.how = strconv.Itoa(d.IntN(len(simGarbages)))
	s.n = simBadTokens + d.IntN(1000)
	s.slot = d.IntN(len(simQueues)) // the queue
}

// plant enqueues a bad task, past the door.
func (w *simWorld) plant(s simStep) {
	var kind int
	if _, err := fmt.Sscan(s.how, &kind); err != nil {
		panic(err)
	}
	p := simPlanted{simGarbage: simGarbages[kind], queue: simQueues[s.slot], token: fmt.Sprint(tokenMark, s.n), at: time.Now(), base: w.base}
	if len(p.queues) > 0 && !slices.Contains(p.queues, p.queue) {
		p.queue = p.queues[0]
	}
	name := session.Job{Token: p.token}.Name()
	if p.what == "an unknown account" {
		name = session.Job{Account: "nobody", Token: p.token}.Name()
	}
	p.id = name.ID()
	p.name = w.shards.Of(p.id).Queue(p.queue)
	types := []string{queue.TypeFollow, queue.TypeDeliver, queue.TypeRemove}
	if p.typ = types[slices.Index(simQueues, p.queue)]; len(p.queues) == 0 {
		p.typ = types[s.n%len(types)] // which need not be its queue's
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	task := asynq.NewTask(p.typ, []byte(p.payload(name)), asynq.Queue(p.name), asynq.TaskID(p.id))
	if _, err := asynq.NewClientFromRedisClient(queue.Known(w.rdb, w.shards)).EnqueueContext(ctx, task); err != nil {
		return
	}
	w.log.say("somebody puts %s into %s, as %s %s", p.what, p.queue, p.typ, p.id)
	w.planted = append(w.planted, p)
}

// simRefusals are sessions that are refused at the door, by the field that is wrong.
var simRefusals = []struct {
	field   string
	session tasks.Session
}{
	{"token", tasks.Session{Method: tasks.SmartID, Reference: refusedMark}},
	{"token", tasks.Session{Token: refusedMark + "/x", Method: tasks.SmartID}},
	{"token", tasks.Session{Token: strings.Repeat(refusedMark, 20), Method: tasks.SmartID}},
	{"method", tasks.Session{Token: refusedMark, Method: "fax"}},
	{"locale", tasks.Session{Token: refusedMark, Method: tasks.SmartID, Locale: "xx"}},
	{"callback_url", tasks.Session{Token: refusedMark, Method: tasks.SmartID, CallbackURL: "https://user:secret@a.example/"}},
	{"callback_url", tasks.Session{Token: refusedMark, Method: tasks.SmartID, CallbackURL: "https://a.example/" + strings.Repeat("x", tasks.MaxCallbackURLLength)}},
	{"reference", tasks.Session{Token: refusedMark, Method: tasks.SmartID, Reference: strings.Repeat("x", tasks.MaxReferenceLength+1)}},
	{"reference", tasks.Session{Token: refusedMark, Method: tasks.SmartID, Reference: "a\nb"}},
	{"checks", tasks.Session{Token: refusedMark, Method: tasks.SmartID, Checks: []tasks.Check{"age"}}},
	{"account", tasks.Session{Token: refusedMark, Method: tasks.SmartID, Account: "1shop"}},
}

// refuse has the application enqueue what is refused at the door, alone or among others.
func (w *simWorld) refuse(s simStep) {
	r := simRefusals[s.n%len(simRefusals)]
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var err error
	if s.n%2 == 0 {
		err = w.clients[0].Enqueue(ctx, r.session)
	} else {
		err = w.clients[0].EnqueueMany(ctx, []tasks.Session{r.session})[0]
	}
	var invalid *tasks.ValidationError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != r.field {
		w.accuse(promiseDoor, "", "a session with a wrong %s is answered with %v", r.field, err)
	}
}

// unjudged are the bad tasks that workers have not archived yet.
func (w *simWorld) unjudged() (left []string) {
	for _, p := range w.planted {
		key := "asynq:{" + p.name + "}:t:" + p.id
		if s := w.redis.mini.HGet(key, "state"); !p.waits && w.redis.mini.Exists(key) && s != "archived" {
			left = append(left, fmt.Sprintf("the task %s of %s with %s is %s", p.queue, p.token, p.what, s))
		}
	}
	return left
}

// checkBad: bad input is archived or waits, it is no session, and nothing loops over it.
func (w *simWorld) checkBad() {
	for _, p := range w.planted {
		info, err := w.tasks.GetTaskInfo(p.name, p.id)
		switch {
		case errors.Is(err, asynq.ErrTaskNotFound) && w.log.find(p.at, time.Now(), nil, redisLost) != nil:
			w.excuse("bad input is gone: Redis lost it")
		case err != nil:
			w.accuse(promiseDoor, p.token, "%s is not there any more: %v", p.what, err)
		case strings.Contains(info.LastErr, garbleMark):
			w.accuse(promiseDoor, p.token, "the error of %s quotes it: %.100s", p.what, info.LastErr)
		case p.waits == (info.State == asynq.TaskStateArchived):
			w.accuse(promiseDoor, p.token, "%s is %s", p.what, info.State)
		}
		if n, most := w.log.named[p.token], p.mostCommands(w); n > most {
			w.accuse(promiseDoor, p.token, "%d commands name %s, which is more than %d", n, p.what, most)
		}
		if len(w.log.posts[p.token])+len(w.log.calls[p.token])+len(w.log.records[p.token]) > 0 {
			w.accuse(promiseDoor, p.token, "%s was taken for a session:\n%s", p.what, w.log.story(p.token))
		}
		w.log.counts["bad input in a queue"]++
	}
	for _, p := range w.processes {
		if at := strings.Index(p.logs.String(), garbleMark); at >= 0 {
			w.log.leak("the log of "+p.name, p.logs.String(), at)
		}
	}
	if dump := w.redis.dump(); strings.Contains(dump, refusedMark) {
		w.log.leak("Redis", dump, strings.Index(dump, refusedMark))
	}
}

// mostCommands is how many commands may name a bad task: some for each run, of which a
// task that waits has one a minute, and one more for each worker that died or stopped.
func (p simPlanted) mostCommands(w *simWorld) int {
	const each = 5
	most := each * (3 + len(w.processes))
	if p.waits {
		most += each * int((time.Since(p.at)-w.base.Sub(p.base))/time.Minute)
	}
	return most
}
