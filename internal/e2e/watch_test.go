package e2e

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
)

// watcher gathers all that can be seen of a world while it runs.
type watcher struct {
	*world
	mon      *monitor
	stopTold func()

	dumps, pages, probes, told strings.Builder
	said                       strings.Builder // by commands
}

func (w *world) watch() *watcher {
	w.t.Helper()
	v := &watcher{world: w, mon: w.monitor()}
	v.stopTold = v.watchRedis()
	return v
}

// sample adds what Redis, asynqmon and the probes show at this moment. Redis may
// be down just now.
func (v *watcher) sample() {
	v.t.Helper()
	if dump, err := redistest.Dump(v.ctx, v.rdb); err == nil {
		v.dumps.WriteString(dump)
	}
	v.pages.Write(v.mon.everything())
	for _, p := range v.processes {
		v.probes.WriteString(p.probesSay())
	}
	pass(200 * time.Millisecond)
}

// probesSay is all that LISTEN answers, metrics too where there are any; nothing
// where the process does not run.
func (p *process) probesSay() string {
	var all strings.Builder
	listen := p.said("identwatch starts", "listen")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/vars"} {
		res, err := http.Get("http://" + listen + path)
		if err != nil {
			return all.String()
		}
		_, _ = io.Copy(&all, res.Body)
		_ = res.Body.Close()
	}
	return all.String()
}

// watchRedis gathers what every client tells Redis, scripts too, and begins anew
// where Redis was restarted. The function that it returns ends it.
func (v *watcher) watchRedis() (stop func()) {
	v.t.Helper()
	quit := make(chan struct{})
	var watching sync.WaitGroup
	begun := make(chan struct{})
	first := sync.OnceFunc(func() { close(begun) })
	watching.Go(func() {
		for {
			v.monitorOnce(quit, first)
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	<-begun
	return func() {
		close(quit)
		watching.Wait()
	}
}

func (v *watcher) monitorOnce(quit <-chan struct{}, begun func()) {
	conn, err := net.Dial("tcp", v.redis.Addr)
	if err != nil {
		return
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-quit:
		case <-ended:
		}
		conn.Close()
	}()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		v.told.Write(buffer[:n])
		if err != nil {
			return
		}
		begun()
	}
}

// seen ends the watching and returns all that was seen, by where it was.
func (v *watcher) seen() map[string]string {
	v.t.Helper()
	v.stopTold()
	return map[string]string{
		"Redis": v.dumps.String(), "what Redis was told": v.told.String(), "the files of Redis": v.redisFiles(),
		"asynqmon": v.pages.String(), "the probes": v.probes.String(), "the logs": v.logs(), "the commands": v.said.String(),
	}
}

// mustBeClean fails the test for each place that shows what is searched for.
func mustBeClean(t *testing.T, seen map[string]string, search *leakSearch) {
	t.Helper()
	for where, text := range seen {
		if found := search.find([]byte(text)); len(found) > 0 {
			t.Errorf("%s shows %v, such as here: %s", where, found, search.around(text))
		}
		t.Logf("searched %d kB of %s for %d texts", len(text)>>10, where, len(search.forms))
	}
}

// around is some text around the first find.
func (l *leakSearch) around(text string) string {
	for secret := range l.forms {
		if at := strings.Index(text, secret); at >= 0 {
			return text[max(0, at-300):min(len(text), at+len(secret)+100)]
		}
	}
	return ""
}

// redisFiles are the append-only files and Redis's own log.
func (w *world) redisFiles() string {
	w.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(w.redis.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all.String()
}

// logs are those of all processes.
func (w *world) logs() string {
	w.t.Helper()
	var all strings.Builder
	for _, p := range w.processes {
		data, err := os.ReadFile(p.log)
		if err != nil {
			w.t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}
