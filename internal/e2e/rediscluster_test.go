package e2e

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
)

// newWorldOnCluster is newWorld on a Redis Cluster of three masters.
func newWorldOnCluster(t *testing.T, replicasOfEach int) (*world, *redistest.Cluster) {
	t.Helper()
	c := redistest.StartCluster(t, 3, replicasOfEach, "--appendonly", "yes")
	return newWorldAt(t, c.URL(), c.Client()), c
}

// apart splits tokens by whether their shard is on a node now.
func (w *world) apart(c *redistest.Cluster, tokens []string, node *redistest.Server) (on, elsewhere []string) {
	w.t.Helper()
	where := make(map[string]bool)
	for _, shard := range w.shards.All() {
		where[shard.Key("")] = c.MasterOf(shard.Key("")) == node
	}
	for _, token := range tokens {
		if where[w.shards.Of("default:"+token).Key("")] {
			on = append(on, token)
		} else {
			elsewhere = append(elsewhere, token)
		}
	}
	return on, elsewhere
}

// unhindered is the most that an event takes on a busy machine if nothing hinders its
// session; otherwise it waits until its master is back.
const unhindered = 5 * time.Second

// delays are from the person's answer to the event at the receiver.
func (w *world) delays(tokens []string) (all distribution) {
	for _, token := range tokens {
		if s := w.story(token); len(s.posts) > 0 {
			took := s.posts[0].begun.Sub(s.at.FinalAt)
			if took > unhindered {
				w.t.Logf("%s took %v:\n%+v\n%s%s", token, took, s.at, tellPosts(s), tellCalls(s))
			}
			all = append(all, took)
		}
	}
	return all
}

func TestCluster_FollowsSessionsOfEveryOrigin(t *testing.T) {
	t.Parallel()
	w, c := newWorldOnCluster(t, 0)
	w.serve()
	w.serve()
	byCommand := w.begin("command", 40, confirms(time.Second, 4*time.Second))
	w.enqueue(byCommand)
	byClient := w.begin("client", 40, confirms(time.Second, 4*time.Second))
	w.enqueueHere(byClient[:10]...)
	var many []tasks.Session
	for _, token := range byClient[10:] {
		many = append(many, tasks.Session{Token: token, Method: tasks.SmartID})
	}
	for i, err := range w.client.EnqueueMany(w.ctx, many) {
		if err != nil {
			t.Fatal(i, err)
		}
	}
	if code, said := w.tryEnqueue(byCommand[:3]); code == 0 || !strings.Contains(said, "already") {
		t.Errorf("enqueueing again: exit code %d, %s", code, said)
	}
	all := slices.Concat(byCommand, byClient)
	for i, node := range c.Masters() {
		if on, _ := w.apart(c, all, node); len(on) == 0 {
			t.Errorf("no session is on master %d", i)
		}
	}
	waiting := w.begin("waiting", 8, waits())
	w.enqueue(waiting)
	w.awaitRemoved(all, time.Minute)
	w.commandsOnCluster(waiting)
	w.awaitRemoved(waiting, time.Minute)
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
	if slow := w.delays(all).quantile(0.9); slow > 2*time.Second {
		t.Errorf("nine of ten events are there %v after the person's answer at the latest", slow)
	}
	if code, said := w.run("sessions", "SHARDS=4"); code == 0 || !strings.Contains(said, `has "8"`) {
		t.Errorf("with other shards: exit code %d, %s", code, said)
	}
}

// commandsOnCluster lists and cancels sessions that wait for their person.
func (w *world) commandsOnCluster(waiting []string) {
	w.t.Helper()
	code, said := w.run("sessions --state following --json")
	for _, token := range waiting {
		if !strings.Contains(said, token) {
			w.t.Errorf("%s is not listed; exit code %d, %s", token, code, said)
		}
		if status, err := w.client.Cancel(w.ctx, "", token); err != nil || status.State != tasks.Cancelled {
			w.t.Errorf("cancelling %s: %+v, %v", token, status, err)
		}
		var status struct{ State string }
		if code, said := w.run("status --json " + token); code != 0 || json.Unmarshal([]byte(said), &status) != nil || status.State != string(tasks.Cancelled) {
			w.t.Errorf("the status of %s: exit code %d, %s", token, code, said)
		}
	}
}

// run runs a command of identwatch on the world's Redis, and returns all that it says.
func (w *world) run(command string, settings ...string) (code int, said string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, binary, strings.Fields(command)...)
	cmd.Env = append([]string{"REDIS_URL=" + w.url}, settings...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// A master dies, and its replica takes over after some seconds: its sessions wait until
// then, and those of the other masters notice nothing.
func TestCluster_AMasterIsKilled(t *testing.T) {
	t.Parallel()
	w, c := newWorldOnCluster(t, 1)
	a, b := w.serve(), w.serve()
	all := w.begin("killed", 300, confirms(time.Second, 14*time.Second))
	w.enqueue(all)
	pass(3 * time.Second)
	victim := c.Masters()[1]
	on, others := w.apart(c, all, victim)
	victim.Kill()
	killed := time.Now()
	c.AwaitFailover(victim)
	t.Logf("the replica has taken over after %v; %d sessions were on the killed master, %d elsewhere", time.Since(killed), len(on), len(others))
	w.awaitRemoved(all, 2*time.Minute)
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(all, func(s story, f fault) bool { // a failover may lose the last writes
		return slices.Contains(on, s.token) && (f == deliveredMore || f == removedMore)
	})
	w.delays(on).log(t, "from the answer to the event, on the killed master")
	other := w.delays(others)
	other.log(t, "on the other masters")
	if slow := other.quantile(0.99); slow > unhindered {
		t.Errorf("sessions on the other masters waited too: p99 %v", slow)
	}
	for _, p := range []*process{a, b} {
		p.terminate()
		if code := p.awaitExit(time.Minute); code != 0 {
			t.Errorf("%s stops with %d", p.name, code)
		}
	}
}

// A master without a replica is away: its sessions wait until it is back, and those of
// the other masters notice nothing, also new ones.
func TestCluster_OneMasterIsAway(t *testing.T) {
	t.Parallel()
	t.Run("dead", func(t *testing.T) {
		t.Parallel()
		oneMasterIsAway(t, (*redistest.Server).Kill, (*redistest.Server).Restart)
	})
	t.Run("hanging", func(t *testing.T) { // connections are accepted, and nothing is answered
		t.Parallel()
		oneMasterIsAway(t, (*redistest.Server).Suspend, (*redistest.Server).Resume)
	})
}

func oneMasterIsAway(t *testing.T, leave, come func(*redistest.Server)) {
	t.Helper()
	w, c := newWorldOnCluster(t, 0)
	w.serve()
	w.serve()
	all := w.begin("early", 200, confirms(time.Second, 10*time.Second))
	w.enqueueHere(all...) // by a client that knows the cluster, as later ones are
	pass(3 * time.Second)
	victim := c.Masters()[2]
	on, others := w.apart(c, all, victim)
	late := w.begin("late", 60, confirms(time.Second, 5*time.Second))
	_, late = w.apart(c, late, victim)
	leave(victim)
	w.enqueueHere(late...)
	w.awaitRemoved(slices.Concat(others, late), time.Minute)
	other := w.delays(slices.Concat(others, late))
	other.log(t, "from the answer to the event, on the other masters")
	if slow := other.quantile(0.99); slow > unhindered {
		t.Errorf("sessions on the other masters waited too: p99 %v", slow)
	}
	come(victim)
	back := time.Now()
	w.awaitRemoved(on, time.Minute)
	t.Logf("the %d sessions of the master that was away were removed %v after it was back", len(on), time.Since(back))
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(slices.Concat(all, late), func(s story, f fault) bool {
		return slices.Contains(on, s.token) && (f == deliveredMore || f == removedMore)
	})
}

// While a slot moves, Redis refuses scripts on keys that are not all on one side.
func TestCluster_AShardMovesWhileItsSessionsRun(t *testing.T) {
	t.Parallel()
	w, c := newWorldOnCluster(t, 0)
	w.serve()
	w.serve()
	all := w.begin("moved", 120, confirms(time.Second, 8*time.Second))
	w.enqueue(all)
	pass(2 * time.Second)
	masters := c.Masters()
	for _, shard := range w.shards.All()[:4] {
		key := shard.Key("")
		from := c.MasterOf(key)
		to := masters[(slices.Index(masters, from)+1)%len(masters)]
		move := c.BeginMove(key, to)
		move.Keys(10)
		pass(500 * time.Millisecond)
		move.Finish()
		if c.MasterOf(key) != to {
			t.Errorf("shard %d did not move", shard.Number())
		}
	}
	w.awaitRemoved(all, time.Minute)
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
	w.delays(all).log(t, "from the answer to the event")
}
