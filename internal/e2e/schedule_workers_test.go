//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// setting is the last value of a variable in the process's environment.
func (p *process) setting(name string) string {
	value := ""
	for _, pair := range p.cmd.Env {
		if rest, found := strings.CutPrefix(pair, name+"="); found {
			value = rest
		}
	}
	return value
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// killWorker kills one with kill -9. Another starts in its place later, of either
// release: it may have been killed in the middle of a rollout.
func (s *stage) killWorker(f planned, dice *rand.Rand) {
	i, _ := f.worker()
	s.slots[i].busy.Lock()
	defer s.slots[i].busy.Unlock()
	p, _ := s.slots[i].now()
	s.describe(f, "%s", p.name)
	s.count("kills")
	in := s.note(killed, p.name)
	p.killedAt = time.Now()
	p.kill()
	s.over(in)
	pass(f.lasts)
	s.slots[i].release = dice.IntN(2)
	s.startWorker(i)
}

// suspendWorker stops one for a while, as a virtual machine that is moved.
func (s *stage) suspendWorker(f planned, _ *rand.Rand) {
	i, _ := f.worker()
	s.slots[i].busy.Lock()
	defer s.slots[i].busy.Unlock()
	p, _ := s.slots[i].now()
	s.describe(f, "%s", p.name)
	s.count("suspensions")
	in := s.note(suspended, p.name)
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	s.lasting(f, func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }, in)
}

// rollWorkers replaces each worker, one after the other, by one of the release that
// the first did not have: the next is rolled out, or rolled back.
func (s *stage) rollWorkers(f planned, _ *rand.Rand) {
	var release int
	for i := range s.slots {
		s.slots[i].busy.Lock()
		if i == 0 {
			release = 1 - s.slots[0].release
			s.count(fmt.Sprintf("rollouts of release %d", release))
		}
		s.slots[i].release = release
		p, _ := s.slots[i].now()
		s.describe(f, "%s", p.name)
		s.stopWorker(p)
		s.startWorker(i)
		s.slots[i].busy.Unlock()
		pass(f.lasts / time.Duration(len(s.slots)))
	}
}

// stopWorker demands that a worker stops in time. Where Redis hangs meanwhile it
// may say that it could not hand everything over.
func (s *stage) stopWorker(p *process) {
	// Before its main begins, a process dies of SIGTERM as every program does.
	happens(time.Minute, func() bool { return !p.alive() || p.said("identwatch starts", "listen") != "" })
	begun := time.Now()
	s.count("SIGTERMs")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(s.of(p.name).shutdown() + 5*time.Second):
		s.t.Errorf("%s has not stopped %v after SIGTERM", p.name, time.Since(begun))
		p.kill()
	}
	took := time.Since(begun)
	s.say("%s stopped within %v with exit code %d", p.name, took, p.cmd.ProcessState.ExitCode())
	if p.cmd.ProcessState.ExitCode() == 0 {
		return
	}
	s.note(cutShort, p.name).to = time.Now()
	if s.redisTrouble(p.name, begun, time.Now()) == nil {
		s.t.Errorf("%s stopped with exit code %d though its Redis was well", p.name, p.cmd.ProcessState.ExitCode())
	}
}

// redisTrouble is what kept Redis from a worker, if anything did.
func (c *chronicle) redisTrouble(who string, from, to time.Time) *incident {
	for _, what := range []trouble{redisAway, redisRefused, redisWay} {
		if in := c.find(what, who, from, to); in != nil {
			return in
		}
	}
	return nil
}

// wayTrouble is the incident that a disturbed way is.
var wayTrouble = map[string]trouble{toRedis: redisWay, toMarkSign: markSignWay, toReceiver: receiverWay}

func (s *stage) poisonWay(f planned, dice *rand.Rand) {
	i, to := f.worker()
	p, ways := s.slots[i].now()
	x := drawToxic(dice)
	s.describe(f, "%s: %s", p.name, x)
	s.count("toxic " + x.Type)
	in := s.note(wayTrouble[to], p.name)
	s.lasting(f, ways[to].poison(x), in)
}

func (s *stage) closeWay(f planned, _ *rand.Rand) {
	i, to := f.worker()
	p, ways := s.slots[i].now()
	s.describe(f, "%s", p.name)
	s.count("ways closed")
	in := s.note(wayTrouble[to], p.name)
	s.lasting(f, ways[to].close(), in)
}
