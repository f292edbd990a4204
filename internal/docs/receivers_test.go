package docs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/webhook"
)

// language is how a receiver of README.md is run.
type language struct {
	fence, file string
	// command returns what runs the receiver in the directory of its file.
	command func(t *testing.T, port string) []string
}

var languages = []language{
	{"go", "receiver.go", func(t *testing.T, _ string) []string {
		return []string{goProgram(t, "receiver.go")}
	}},
	{"php", "receiver.php", func(t *testing.T, port string) []string {
		return []string{onPath(t, "php"), "-S", "127.0.0.1:" + port, "receiver.php"}
	}},
	{"js", "receiver.mjs", func(t *testing.T, _ string) []string {
		return []string{onPath(t, "node", "nodejs"), "receiver.mjs"}
	}},
}

// eachReceiver runs a test for each receiver of README.md.
func eachReceiver(t *testing.T, test func(t *testing.T, l language)) {
	t.Helper()
	t.Parallel()
	for _, l := range languages {
		t.Run(l.file, func(t *testing.T) {
			t.Parallel()
			test(t, l)
		})
	}
}

// process is a receiver that runs.
type process struct {
	t         *testing.T
	url, dir  string
	mu        sync.Mutex
	log       bytes.Buffer
	cmd       *exec.Cmd
	waitError chan error
}

// Write is for the process's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// launch runs a receiver in a directory of its own; the environment's secrets
// are those that are given.
func launch(t *testing.T, l language, secrets string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), waitError: make(chan error, 1)}
	if err := os.WriteFile(filepath.Join(p.dir, l.file), []byte(program(t, l.fence, l.file)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(p.dir, "inbox"), 0o700); err != nil {
		t.Fatal(err)
	}
	port := freeport.Port(t)
	args := l.command(t, port)
	p.url = "http://127.0.0.1:" + port + "/webhooks/identwatch"
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, p, p
	p.cmd.Env = append(os.Environ(), "WEBHOOK_SECRETS="+secrets, "PORT="+port)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.waitError <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.waitError <- <-p.waitError
	})
	return p
}

// start launches a receiver and waits until it listens.
func start(t *testing.T, l language, secrets ...webhook.Secret) *process {
	t.Helper()
	texts := make([]string, len(secrets))
	for i, s := range secrets {
		texts[i] = s.Encode()
	}
	p := launch(t, l, strings.Join(texts, ", "))
	addr := strings.Split(p.url, "/")[2]
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the receiver does not listen: %v\n%s", err, p.output())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// inbox returns what the receiver stored, by file name.
func (p *process) inbox() map[string]string {
	p.t.Helper()
	files, err := os.ReadDir(filepath.Join(p.dir, "inbox"))
	if err != nil {
		p.t.Fatal(err)
	}
	stored := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(p.dir, "inbox", f.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		stored[f.Name()] = string(text)
	}
	return stored
}

// sender is the service's own.
func sender(t *testing.T, secrets ...webhook.Secret) *webhook.Sender {
	t.Helper()
	key := webhook.NewSigningKey() // a v1a signature is there too, as where both are configured
	signer, err := webhook.NewSigner(secrets, &key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// event is one with texts that a receiver which parses and writes anew would
// not give back byte for byte.
func event(t *testing.T) []byte {
	t.Helper()
	body, err := webhook.Event{
		Type: webhook.Completed, Timestamp: time.Now(),
		Data: webhook.Data{
			Token: "1c5cd62c", Reference: "užsakymas <1842>", Method: "smart_id",
			Person: &webhook.Person{Name: "ŽYDRŪNĖ", Surname: "IŠGALVOTOJI", Code: "20101010001", Country: "LT"},
			PEPs:   &webhook.Check{Result: webhook.Clear}, Sanctions: &webhook.Check{},
			Certificate: json.RawMessage(`{"name":"\/C=LT\/CN=I\u0160GALVOTOJI","b":1.0,"a":10000000000000000000}`),
		},
	}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReceivers_StoreAnEventOnce(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t)
		p, s := start(t, l, secret), sender(t, secret)
		for i := range 3 {
			if r := s.Send(t.Context(), p.url, "evt_1", body); r.Verdict != webhook.Delivered {
				t.Fatalf("post %d: %s\n%s", i+1, r.Detail, p.output())
			}
		}
		stored := p.inbox()
		var want, got any
		if len(stored) != 1 || json.Unmarshal(body, &want) != nil || json.Unmarshal([]byte(stored["evt_1.json"]), &got) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("stored %v", stored)
		}
		if r := s.Send(t.Context(), p.url, "evt_2", body); r.Verdict != webhook.Delivered || len(p.inbox()) != 2 {
			t.Errorf("another event: %s", r.Detail)
		}
		checkHandledOnce(t, p, "evt_1")
		for _, personal := range []string{"20101010001", "GALVOTOJI"} {
			if strings.Contains(p.output(), personal) {
				t.Errorf("the receiver logs a person: %s", p.output())
			}
		}
	})
}

// checkHandledOnce waits for the log line of an event and counts it.
func checkHandledOnce(t *testing.T, p *process, id string) {
	t.Helper()
	want := "stored " + id + "\n"
	for deadline := time.Now().Add(time.Minute); !strings.Contains(p.output(), want) && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
	if n := strings.Count(p.output(), want); n != 1 {
		t.Errorf("%s was handled %d times\n%s", id, n, p.output())
	}
}

func TestReceivers_StoreAnEventOnceThatComesTwentyTimesAtOnce(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t)
		p, s := start(t, l, secret), sender(t, secret)
		var posts sync.WaitGroup
		for range 20 {
			posts.Go(func() {
				if r := s.Send(context.Background(), p.url, "evt_1", body); r.Verdict != webhook.Delivered {
					t.Error(r.Detail)
				}
			})
		}
		posts.Wait()
		if stored := p.inbox(); len(stored) != 1 {
			t.Errorf("stored %d files", len(stored))
		}
		checkHandledOnce(t, p, "evt_1")
	})
}

func TestReceivers_RotateSecrets(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		earlier, later, unknown := webhook.NewSecret(), webhook.NewSecret(), webhook.NewSecret()
		for i, test := range []struct {
			receiver, sender []webhook.Secret
			want             webhook.Verdict
		}{
			{[]webhook.Secret{earlier, later}, []webhook.Secret{earlier}, webhook.Delivered},
			{[]webhook.Secret{earlier, later}, []webhook.Secret{later}, webhook.Delivered},
			{[]webhook.Secret{earlier}, []webhook.Secret{later, earlier}, webhook.Delivered},
			{[]webhook.Secret{later}, []webhook.Secret{later, earlier}, webhook.Delivered},
			{[]webhook.Secret{later, earlier}, []webhook.Secret{unknown}, webhook.NotDelivered},
		} {
			p := start(t, l, test.receiver...)
			if r := sender(t, test.sender...).Send(t.Context(), p.url, "evt_1", event(t)); r.Verdict != test.want {
				t.Errorf("row %d: %s\n%s", i, r.Detail, p.output())
			}
		}
	})
}

// post sends a request as it is and returns the status.
func post(t *testing.T, url string, header http.Header, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// signedAt returns the headers of a request that was signed at a time.
func signedAt(t *testing.T, secret webhook.Secret, at time.Time, body []byte) http.Header {
	t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	signer.Sign(h, "evt_1", at, body)
	return h
}

func TestReceivers_RefuseWhatIsNotSignedForNow(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t)
		p := start(t, l, secret)
		now := time.Now()
		headers := func(change func(h http.Header)) http.Header {
			h := signedAt(t, secret, now, body)
			change(h)
			return h
		}
		tampered := bytes.Replace(body, []byte("20101010001"), []byte("20101010002"), 1)
		for name, request := range map[string]struct {
			header http.Header
			body   []byte
		}{
			"tampered body":     {signedAt(t, secret, now, body), tampered},
			"a byte more":       {signedAt(t, secret, now, body), append(bytes.Clone(body), ' ')},
			"no body":           {signedAt(t, secret, now, body), nil},
			"six minutes old":   {signedAt(t, secret, now.Add(-6*time.Minute), body), body},
			"six minutes ahead": {signedAt(t, secret, now.Add(6*time.Minute), body), body},
			"wrong secret":      {signedAt(t, webhook.NewSecret(), now, body), body},
			"no headers":        {http.Header{}, body},
			"another id":        {headers(func(h http.Header) { h.Set(webhook.HeaderID, "evt_2") }), body},
			"no id":             {headers(func(h http.Header) { h.Del(webhook.HeaderID) }), body},
			"another time":      {headers(func(h http.Header) { h.Set(webhook.HeaderTimestamp, strconv.FormatInt(now.Unix()-1, 10)) }), body},
			"no time":           {headers(func(h http.Header) { h.Del(webhook.HeaderTimestamp) }), body},
			"time is no number": {headers(func(h http.Header) { h.Set(webhook.HeaderTimestamp, "NaN") }), body},
			"no signature":      {headers(func(h http.Header) { h.Del(webhook.HeaderSignature) }), body},
			"empty signature":   {headers(func(h http.Header) { h.Set(webhook.HeaderSignature, "v1,") }), body},
			"bare signature":    {headers(func(h http.Header) { h.Set(webhook.HeaderSignature, h.Get(webhook.HeaderSignature)[3:]) }), body},
			"another version":   {headers(func(h http.Header) { h.Set(webhook.HeaderSignature, "v2,"+h.Get(webhook.HeaderSignature)[3:]) }), body},
			"empty key":         {headers(func(h http.Header) { h.Set(webhook.HeaderSignature, withEmptyKey("evt_1", now, body)) }), body},
		} {
			if status := post(t, p.url, request.header, request.body); status < 400 || status > 499 {
				t.Errorf("%s: HTTP %d", name, status)
			}
		}
		if stored := p.inbox(); len(stored) != 0 {
			t.Errorf("stored %v", stored)
		}
		for _, age := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
			if status := post(t, p.url, signedAt(t, secret, now.Add(age), body), body); status/100 != 2 {
				t.Errorf("signed %v from now: HTTP %d\n%s", age, status, p.output())
			}
		}
	})
}

// withEmptyKey is the signature that everybody can make.
func withEmptyKey(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, nil)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestReceivers_WithoutASecretLetNobodyIn: they end, or refuse everything.
func TestReceivers_WithoutASecretLetNobodyIn(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		body := event(t)
		p := launch(t, l, "")
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
			select {
			case err := <-p.waitError:
				p.waitError <- err
				if err == nil {
					t.Error("it ended well")
				}
				return
			default:
			}
			if conn, err := net.Dial("tcp", strings.Split(p.url, "/")[2]); err == nil {
				conn.Close()
				break
			}
		}
		header := http.Header{webhook.HeaderID: nil}
		header.Set(webhook.HeaderID, "evt_1")
		header.Set(webhook.HeaderTimestamp, strconv.FormatInt(time.Now().Unix(), 10))
		header.Set(webhook.HeaderSignature, withEmptyKey("evt_1", time.Now(), body))
		if status := post(t, p.url, header, body); status < 400 {
			t.Errorf("HTTP %d", status)
		}
	})
}

// TestReceivers_ThatCannotStoreAskForAnotherAttempt takes the inbox away.
func TestReceivers_ThatCannotStoreAskForAnotherAttempt(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t)
		p, s := start(t, l, secret), sender(t, secret)
		inbox := filepath.Join(p.dir, "inbox")
		if err := os.Remove(inbox); err != nil {
			t.Fatal(err)
		}
		if r := s.Send(t.Context(), p.url, "evt_1", body); r.Verdict != webhook.NotDelivered || r.Status != http.StatusInternalServerError {
			t.Errorf("without an inbox: %s\n%s", r.Detail, p.output())
		}
		if err := os.Mkdir(inbox, 0o700); err != nil {
			t.Fatal(err)
		}
		if r := s.Send(t.Context(), p.url, "../evt/1", body); r.Verdict != webhook.Delivered || len(p.inbox()) != 1 {
			t.Errorf("with an inbox: %s\n%s", r.Detail, p.output())
		}
	})
}
