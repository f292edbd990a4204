package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// The marks are what nobody may see. Each has letters that are written
// differently in different places, and a part that is written the same everywhere.
const (
	markedName     = `Žydrūnė/<MARKNAME7Q>`
	markedSurname  = `O'Marķė "MARKSURNAME8W" & Co`
	markedCode     = `3990101MARKCODE9X`
	markedRecord   = `Narys <MARKRECORD3Z> Ūsas`
	markedDocument = `LT/MARKDOCUMENT4V`
	markedMessage  = `Naudotoja Žydrūnė MARKMESSAGE5B atsisakė`
)

// plainMarks are the parts that are written the same everywhere, however often
// the text around them was encoded.
var plainMarks = []string{
	"MARKNAME7Q", "MARKSURNAME8W", "MARKCODE9X", "MARKRECORD3Z", "MARKDOCUMENT4V", "MARKMESSAGE5B",
}

// marked is a person whose data is all marked.
func marked(o marksim.Outcome, after time.Duration) marksim.Person {
	return marksim.Person{
		Name: markedName, Surname: markedSurname, Code: markedCode, Country: "LT", Outcome: o, AfterMin: after,
		PEPs: []marksim.PEPRecord{{ID: 1, FullName: markedRecord, Associates: marksim.Associates{"parent": markedRecord}}},
		Sanctions: []marksim.SanctionRecord{{
			ID: 2, FullName: markedRecord, DocumentNumber: markedDocument, AKA: markedName, NameOfTheList: "Any list",
		}},
	}
}

// secretsSearch looks for the marks and for the secrets of a world.
func (w *world) secretsSearch() *leakSearch {
	w.t.Helper()
	search := newLeakSearch()
	for name, text := range map[string]string{
		"the name": markedName, "the surname": markedSurname, "the code": markedCode, "a record": markedRecord,
		"a document number": markedDocument, "MarkSign's message": markedMessage, "the access token": w.secrets.accessToken,
		"the webhook secret": w.secrets.webhook, "the signing key": w.secrets.signing, "the outcome key": w.secrets.outcome,
	} {
		search.add(name, text)
	}
	for _, mark := range plainMarks {
		search.add(mark, mark)
	}
	for name, text := range map[string]string{
		"the bytes of the webhook secret": strings.TrimPrefix(w.secrets.webhook, "whsec_"),
		// The second half of a signing key is the public key, which is no secret.
		"the bytes of the signing key": strings.TrimPrefix(w.secrets.signing, "whsk_"),
		"the bytes of the outcome key": w.secrets.outcome,
	} {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			w.t.Fatal(err)
		}
		search.add(name, string(raw[:32]))
	}
	return search
}

// personalWorld has sessions of every outcome, answers of MarkSign that say names
// where none belong, and receivers that fail in every way and send back what they
// were sent.
type personalWorld struct {
	*world
	search *leakSearch
	mon    *monitor

	mu          sync.Mutex
	certificate string // as it was posted, to search for
	posted      []byte // bodies, to show that there was something to find
}

func TestServe_LeavesNothingPersonalInTheClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--appendonly", "yes")
	p := &personalWorld{world: w, search: w.secretsSearch(), mon: w.monitor()}
	w.receiver.script = p.receive
	w.calls.instead = insteadOfMarkSign
	watched := p.watchRedis()
	first, second := w.serve("DELIVERY_TIMEOUT=2s"), w.serve("DELIVERY_TIMEOUT=2s")

	ends := p.enqueueAll()
	// The processes' ends are among what they log of.
	stopFirst := time.After(4 * time.Second)
	restarted := false
	var dumps, pages strings.Builder
	eventually(t, time.Minute, "every session is removed", func() bool {
		p.sample(&dumps, &pages)
		select {
		case <-stopFirst:
			first.terminate()
			w.prepare("DELIVERY_TIMEOUT=2s", "LOG_FORMAT=text").start()
			restarted = true
		default:
		}
		return restarted && p.allRemoved(ends)
	})
	p.sample(&dumps, &pages)
	second.terminate()
	second.awaitExit(20 * time.Second)

	p.showsSomething(dumps.String(), pages.String())
	p.search.add("the certificate", p.certificate)
	for name, text := range map[string]string{
		"Redis": dumps.String(), "asynqmon": pages.String(), "what Redis was told": watched(), "the files of Redis": w.redisFiles(),
		"the logs": w.logs(),
	} {
		if found := p.search.find([]byte(text)); len(found) > 0 {
			t.Errorf("%s (%d bytes) shows %v", name, len(text), found)
		}
		t.Logf("searched %d kB of %s for %d texts", len(text)>>10, name, len(p.search.forms))
	}
	if missing := p.search.find(p.posted); len(missing) == 0 {
		t.Error("what was posted holds no mark, so the test shows nothing")
	}
	p.checkErased(ends)
}

// enqueueAll starts and enqueues the sessions and returns those that come to an
// end within the test.
func (p *personalWorld) enqueueAll() (ends []string) {
	checks := "--check=peps,sanctions"
	for _, how := range []string{"plain", "failing", "echoing", "redirecting", "slow", "gone"} {
		ends = append(ends, p.begin(how, 3, marked(marksim.Confirms, time.Second))...)
	}
	ends = append(ends, p.begin("later", 5, marked(marksim.Confirms, 6*time.Second))...)
	for _, o := range []marksim.Outcome{
		marksim.Refuses, marksim.WrongCode, marksim.NeverAnswers, marksim.Expires, marksim.UnknownAccount,
		marksim.NotQualified, marksim.DocumentCorrupted, marksim.Canceled,
	} {
		ends = append(ends, p.begin("ends-"+string(o), 1, marked(o, 2*time.Second))...)
	}
	for i := range answers {
		ends = append(ends, p.begin(fmt.Sprintf("odd-%d", i), 1, marked(marksim.Confirms, time.Second))...)
	}
	ends = append(ends, p.begin("message", 1, marked(marksim.Waits, 0))...)
	p.enqueue(ends, checks)
	// These wait: for a receiver that may not be reached, and for a record that
	// somebody broke.
	p.enqueue(p.begin("forbidden", 2, marked(marksim.Confirms, time.Second)), checks, "--callback=http://169.254.1.1:8080/x")
	broken := p.begin("broken", 1, marked(marksim.Confirms, time.Second))
	p.rdb.Set(p.ctx, "identwatch:default:"+broken[0], "not a hash", 0)
	p.enqueue(broken, checks)
	return ends
}

// answers are what MarkSign says instead of an answer, with names in it.
var answers = []http.HandlerFunc{
	says(200, `{"status":"`+markedName+`"}`),
	says(200, `{"status":"error","error_code":50000,"message":"`+markedMessage+`"}`),
	says(500, `{"status":"error","error_code":"MARKCODE9X","message":"`+markedMessage+`"}`),
	says(200, `{"status":"ok","token":"other","code":"`+markedCode+`","name":"`+markedName+`"}`),
	says(200, `{"status":"ok","code":"`+markedCode+`","name":"`+markedName+`","surn`),
	says(200, `{"status":["`+markedCode+`"],"name":"`+markedName+`"}`),
	says(502, `<html>`+markedName+`</html>`),
	says(403, markedMessage),
	func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+markedCode, http.StatusFound) },
	func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", markedCode)
		w.Header().Set("Content-Type", markedName)
		w.WriteHeader(http.StatusServiceUnavailable)
	},
	func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func insteadOfMarkSign(token string, nth int) http.HandlerFunc {
	if strings.HasPrefix(token, "message-") && nth > 1 {
		return says(200, `{"status":"error","error_code":40020,"message":"`+markedMessage+`"}`)
	}
	var which int
	if _, err := fmt.Sscanf(token, "odd-%d-", &which); err == nil && nth == 1 {
		return answers[which]
	}
	return nil
}

// receive answers in the way that the token asks for.
func (p *personalWorld) receive(e webhook.Event, body []byte, nth int) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posted = append(p.posted, body...)
	var certificate struct{ Value string }
	if json.Unmarshal(e.Data.Certificate, &certificate) == nil && p.certificate == "" {
		p.certificate = certificate.Value[len(certificate.Value)/2:][:40]
	}
	echo := http.Header{"X-Echo": {markedCode}, "Content-Type": {markedName}, "Retry-After": {markedCode}}
	how, _, _ := strings.Cut(e.Data.Token, "-")
	switch {
	case how == "gone":
		return answer{status: http.StatusGone, header: echo, body: body}
	case nth > 1:
		return answer{header: echo, body: body}
	case how == "failing":
		return answer{status: http.StatusInternalServerError}
	case how == "echoing":
		return answer{status: http.StatusTeapot, header: echo, body: body}
	case how == "redirecting":
		return answer{status: http.StatusFound, header: http.Header{"Location": {"http://127.0.0.1/" + markedCode}}}
	case how == "slow":
		return answer{after: 3 * time.Second}
	}
	return answer{header: echo, body: body}
}

func (p *personalWorld) allRemoved(tokens []string) bool {
	for _, token := range tokens {
		if strings.HasPrefix(token, "gone-") { // removed too, but it may not be lost sight of
			if p.task(tasks.QueueFollow, token) == nil {
				p.t.Fatalf("the task of %s is gone", token)
			}
		}
		if s, _ := p.sim.Session(token); s.RemovedAt.IsZero() {
			return false
		}
	}
	return true
}

// sample adds what Redis and asynqmon show at this moment.
func (p *personalWorld) sample(dumps, pages *strings.Builder) {
	p.t.Helper()
	dump, err := redistest.Dump(p.ctx, p.rdb)
	if err != nil {
		p.t.Fatal(err)
	}
	dumps.WriteString(dump)
	pages.Write(p.mon.everything())
	pass(200 * time.Millisecond)
}

// watchRedis gathers what every client tells Redis from now on.
func (p *personalWorld) watchRedis() (watched func() string) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.redis.Addr)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		p.t.Fatal(err)
	}
	var all strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buffer)
			all.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	return func() string {
		conn.Close()
		<-done
		return all.String()
	}
}

// redisFiles are the append-only files.
func (w *world) redisFiles() string {
	w.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(w.redis.Dir, "appendonlydir"), func(path string, d fs.DirEntry, err error) error {
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

// showsSomething fails the test where the samples missed what they were taken
// for.
func (p *personalWorld) showsSomething(dumps, pages string) {
	p.t.Helper()
	for _, state := range []outcome.State{outcome.Following, outcome.Handed, outcome.Delivered, outcome.GivenUp} {
		if !strings.Contains(dumps, "state:"+string(state)) {
			p.t.Errorf("no sample of Redis has a session that is %s", state)
		}
	}
	if !strings.Contains(dumps, ":sealed = ") {
		p.t.Error("no sample of Redis has a sealed result")
	}
	for _, what := range []string{"retry", "completed", "the callback failed", "default:plain-00000"} {
		if !strings.Contains(pages, what) {
			p.t.Errorf("no sample of asynqmon has %q", what)
		}
	}
	logs := p.logs()
	for _, what := range []string{"posting the event failed", "delivery given up", "status that is not known", "stopped"} {
		if !strings.Contains(logs, what) {
			p.t.Errorf("no log has %q", what)
		}
	}
}

// checkErased looks at what is left: a result is erased once it is delivered, and
// kept, sealed, where delivery was given up.
func (p *personalWorld) checkErased(tokens []string) {
	p.t.Helper()
	for _, token := range tokens {
		state := p.rdb.HGet(p.ctx, "identwatch:default:"+token, "state").Val()
		sealed := p.rdb.Exists(p.ctx, "identwatch:default:"+token+":sealed").Val() == 1
		want := string(outcome.Delivered)
		if strings.HasPrefix(token, "gone-") {
			want = string(outcome.GivenUp)
		}
		if state != want || sealed != (want == string(outcome.GivenUp)) {
			p.t.Errorf("%s is %s in the end, want %s; its result is kept: %v", token, state, want, sealed)
		}
	}
}
