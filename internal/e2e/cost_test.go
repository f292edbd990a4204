package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

var costSessions = flag.Int("cost-sessions", 0, "with how many sessions TestServe_CostsOfASession measures; 0 leaves it out, 2000 take a minute and a half")

// costs are what a worker and its Redis used so far.
type costs struct {
	worker, redis time.Duration // of the processors
	commands      int           // that Redis ran, those within scripts too
	at            time.Time
}

func (w *world) costs(p *process) costs {
	w.t.Helper()
	info := w.rdb.Info(w.ctx, "server", "stats").Val()
	number := func(name string) int {
		found := regexp.MustCompile(`(?m)^` + name + `:(\d+)`).FindStringSubmatch(info)
		if found == nil {
			w.t.Fatalf("INFO of Redis does not say %s", name)
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	return costs{worker: cpuOf(w.t, p.cmd.Process.Pid), redis: cpuOf(w.t, number("process_id")), commands: number("total_commands_processed"), at: time.Now()}
}

// cpuOf is what a process used of the processors, to a hundredth of a second.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skipf("this system does not tell what a process used of the processors: %v", err)
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestServe_CostsOfASession measures what a session costs that meets no trouble: 50
// begin each second, are confirmed after 2 s to 4 s, posted and removed. Compare two
// versions in turns on one machine: the test uses nothing that older ones lack.
func TestServe_CostsOfASession(t *testing.T) {
	heavy(t)
	n := *costSessions
	if n == 0 {
		t.Skip("judges nothing: -cost-sessions=2000 measures")
	}
	w := newWorld(t)
	p := w.serve("LOG_LEVEL=info")
	pass(5 * time.Second)
	first := w.costs(p)
	pass(20 * time.Second)
	idle, all := w.costs(p), make([]string, n)
	for i := range all {
		pass(time.Until(idle.at.Add(time.Duration(i) * 20 * time.Millisecond)))
		all[i] = fmt.Sprintf("costs-%05d", i)
		w.sim.Add(all[i], marksim.SmartID, marksim.Person{
			Name: "VARDENIS", Surname: "PAVARDENIS", Code: "39901011234", Country: "LT", AfterMin: 2 * time.Second, AfterMax: 4 * time.Second,
		})
		if err := w.client.Enqueue(w.ctx, tasks.Session{Token: all[i], Method: tasks.SmartID}); err != nil {
			t.Fatal(err)
		}
	}
	w.awaitRemoved(all, time.Minute)
	pass(5 * time.Second)
	last := w.costs(p)
	w.check(all, nil)
	share := last.at.Sub(idle.at).Seconds() / idle.at.Sub(first.at).Seconds()
	each := func(before, idle, after time.Duration) time.Duration {
		return (after - idle - time.Duration(float64(idle-before)*share)) / time.Duration(n)
	}
	commands := float64(last.commands-idle.commands) - float64(idle.commands-first.commands)*share
	t.Logf("each of %d sessions: %v of the processors in the worker, %v in Redis, %.2f commands; idle: %.1f ms/s, %.1f ms/s, %.1f commands/s", n,
		each(first.worker, idle.worker, last.worker), each(first.redis, idle.redis, last.redis), commands/float64(n),
		float64((idle.worker-first.worker).Milliseconds())/20, float64((idle.redis-first.redis).Milliseconds())/20, float64(idle.commands-first.commands)/20)
}
