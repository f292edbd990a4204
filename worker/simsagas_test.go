package worker

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// simSagas are things that only mean something one after another, and that single
// steps bring together too seldom. A seed decides by dice of its own which it has, so
// that a new saga leaves the other steps of all seeds as they are.
var simSagas = []struct {
	percent int
	draw    func(d simDice, enqueued *simStep) []simStep
}{
	{10, simDice.failsAgain},
	{10, simDice.deadlineElsewhere},
	{10, simDice.awayForTheNote},
	{10, simDice.slowUnderAnother},
	{8, simDice.runsFinished},
	{20, simDice.newAccessToken},
	{12, simDice.losesSealed},
	{15, simDice.badInput},
}

// sagas draws the sagas of a plan, each of one of its sessions.
func (d simDice) sagas(sessions int) {
	d.Rand = rand.New(rand.NewPCG(d.plan.Seed, 10))
	for _, saga := range simSagas {
		if !d.chance(saga.percent) {
			continue
		}
		n := d.IntN(sessions)
		place := slices.IndexFunc(d.plan.Steps, func(s simStep) bool { return s.do == "enqueue" && s.n == n })
		d.plan.Steps = append(d.plan.Steps, saga.draw(d, &d.plan.Steps[place])...)
	}
}

// receiverPlace is the place in simHosts of a session's receiver.
func (v simVisit) receiverPlace() int { return slices.Index(simHosts, v.receiver()) }

// failsAgain: a receiver is gone, and when the window would be over the event is
// delivered again to a receiver that fails. The delivery window must start again.
func (d simDice) failsAgain(s *simStep) []simStep {
	s.visit.person.Outcome, s.visit.person.AfterMin = marksim.Confirms, d.upTo(2*second)
	host, later, with := s.visit.receiverPlace(), s.at+6*second, d.settings()
	with.window = pickOne(d, 15*second, 40*second)
	return []simStep{
		{at: s.at, do: "receiver", host: host, lasts: 6 * second, mood: simMood{name: "is gone", status: 410, share: 100}},
		{at: later, do: "pause", lasts: time.Minute, settings: with},
		{at: later + 10*time.Millisecond, do: "receiver", host: host, lasts: d.between(3*second, 10*second), mood: simMood{name: "fails with 500", status: 500, share: 100}},
		{at: later + d.between(20*time.Millisecond, second), do: "redeliver", n: s.n, how: pickOne(d, "", "", byHalf)},
	}
}

// deadlineElsewhere: a worker dies late in the life of a session that has no end.
func (d simDice) deadlineElsewhere(s *simStep) []simStep {
	s.visit.person.Outcome = marksim.Waits
	at := s.at + d.between(3*second, 15*second)
	return []simStep{
		{at: at, do: pickOne(d, "kill", "stop"), slot: 0},
		{at: at, do: pickOne(d, "kill", "stop"), slot: d.IntN(simSlots)},
		{at: at + d.upTo(second), do: "start", slot: d.IntN(simSlots), settings: d.settings()},
	}
}

// awayForTheNote: Redis is away when a slow receiver answers.
func (d simDice) awayForTheNote(s *simStep) []simStep {
	after := d.upTo(3 * second)
	s.visit.person.Outcome, s.visit.person.AfterMin = marksim.Confirms, after
	slow := d.between(second, 5*second)
	return []simStep{
		{at: s.at, do: "receiver", host: s.visit.receiverPlace(), lasts: after + 5*second, mood: simMood{name: "takes " + slow.String(), status: 204, after: slow, share: 100}},
		{at: s.at + after + slow/2, do: "Redis", ill: pickOne(d, redisRefuses, redisLoads, redisFull), lasts: slow/2 + d.between(second, 10*second)},
	}
}

// slowUnderAnother: a worker is suspended as soon as it has claimed a post, another
// takes the session over because its task runs, and the receiver answers neither. The
// suspension is shorter than what go-redis waits for the answer.
func (d simDice) slowUnderAnother(s *simStep) []simStep {
	s.visit.person.Outcome, s.visit.person.AfterMin = marksim.Confirms, d.upTo(3*second)
	slow := pickOne(d, d.between(3*second, 9*second), time.Minute)
	return []simStep{
		{at: s.at, do: "receiver", host: s.visit.receiverPlace(), lasts: 30 * second, mood: simMood{name: "takes " + slow.String(), status: 204, after: slow, share: 100}},
		{at: s.at, do: "trap", trap: simTrap{kind: theRecord + "sealed", n: 1, act: trapFreezes, lasts: d.between(2*second, 3*second)}},
		{at: s.at, do: "start", slot: 1, settings: d.settings()},
		{at: s.at + s.visit.person.AfterMin + d.between(second, 2*second), do: "run", n: s.n},
	}
}

// runsFinished: somebody runs the tasks of a session that is over, when its record has
// expired and asynq's janitor has not come yet.
func (d simDice) runsFinished(s *simStep) []simStep {
	d.plan.Retention = tasks.DefaultRetention
	s.visit.person.Outcome, s.visit.person.AfterMin = marksim.Confirms, d.upTo(2*second)
	at := s.at + d.between(8*second, 12*second)
	return []simStep{
		{at: at, do: "pause", lasts: 26 * time.Hour, settings: d.settings()},
		{at: at + d.between(10*time.Millisecond, 7*second), do: "run", n: s.n},
	}
}

// newAccessToken: MarkSign takes another access token from now on. Operators write it
// into the file that workers read, running ones within five seconds and new ones when
// they start; sometimes a worker is restarted meanwhile.
func (d simDice) newAccessToken(s *simStep) []simStep {
	s.visit.person.AfterMin = d.between(4*second, 15*second)
	at := s.at + d.upTo(4*second)
	file := at + pickOne(d, d.upTo(3*second), d.upTo(9*second))
	steps := []simStep{{at: at, do: "new access token", account: s.visit.account}, {at: file, do: "its file", account: s.visit.account}}
	for slot := range simSlots {
		steps = append(steps, simStep{at: file + d.upTo(5*second), do: "reads the files", slot: slot})
	}
	if d.chance(40) {
		slot, restart := d.IntN(simSlots), at+d.upTo(file-at+2*second)
		steps = append(steps, simStep{at: restart, do: pickOne(d, "kill", "stop"), slot: slot},
			simStep{at: restart + d.upTo(4*second), do: "start", slot: slot, settings: d.settings()})
	}
	return steps
}

// losesSealed: Redis loses the sealed result alone, of an event that waits for its next
// attempt, or that was given up and is perhaps delivered again.
func (d simDice) losesSealed(s *simStep) []simStep {
	s.visit.person.AfterMin = d.upTo(2 * second)
	ill := simMood{name: "fails with 500", status: 500, share: 100}
	if d.chance(40) {
		ill = simMood{name: "is gone", status: 410, share: 100}
	}
	evicts := s.at + s.visit.person.AfterMin + d.between(second, 5*second)
	steps := []simStep{
		{at: s.at, do: "receiver", host: s.visit.receiverPlace(), lasts: d.between(4*second, 9*second), mood: ill},
		{at: evicts, do: "evict", n: s.n, how: evictsSealed},
	}
	if d.chance(10) {
		steps = append(steps, simStep{at: evicts, do: "forget", n: s.n})
	}
	if ill.status == 410 {
		steps = append(steps, simStep{at: evicts + d.between(-2*second, 3*second), do: "redeliver", n: s.n, how: pickOne(d, "", "", byHalf)})
	}
	return steps
}

// badInput: somebody puts tasks into the queues that no worker can use, and enqueues
// what is refused at the door.
func (d simDice) badInput(*simStep) []simStep {
	steps := []simStep{{at: d.upTo(d.long), do: "refused", n: d.IntN(1000)}}
	for range 1 + d.IntN(4) {
		bad := simStep{at: d.upTo(d.long), do: "bad task"}
		d.badTask(&bad)
		steps = append(steps, bad)
	}
	return steps
}
