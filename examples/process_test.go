package examples_test

import (
	"bytes"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/webhook"
)

// output is what processes of a test wrote.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// spawn runs a command and returns what kills it as kill -9 does. It is killed at the end of the test.
func spawn(t *testing.T, out *output, env []string, args ...string) (kill func()) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.TempDir(), env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return kill
}

// site is where a receiver and its worker run.
type site struct {
	t          *testing.T
	language   language
	commands   commands
	env        []string
	inbox, url string
	out        *output
}

// newSite prepares a receiver that has these settings.
func newSite(t *testing.T, l language, settings ...string) *site {
	t.Helper()
	dir, port := t.TempDir(), freeport.Port(t)
	s := &site{t: t, language: l, inbox: filepath.Join(dir, "inbox"), out: new(output)}
	s.url = "http://127.0.0.1:" + port + "/webhooks/identwatch"
	s.commands = l.find(t, dir, port)
	s.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PORT=" + port, "INBOX=" + s.inbox}, s.commands.env...)
	s.env = append(s.env, settings...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", l.name, s.out)
		}
	})
	return s
}

// receive starts the receiver and waits until it listens.
func (s *site) receive() (kill func()) {
	s.t.Helper()
	kill = spawn(s.t, s.out, s.env, s.commands.receive...)
	address := strings.Split(s.url, "/")[2]
	eventually(s.t, s.language.name+" listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return kill
}

func (s *site) work() (kill func()) {
	s.t.Helper()
	return spawn(s.t, s.out, s.env, s.commands.work...)
}

func (s *site) look() kept { return s.language.look(s.inbox) }

// newSender is the service's own.
func newSender(t *testing.T, key *webhook.SigningKey, secrets ...webhook.Secret) *webhook.Sender {
	t.Helper()
	signer, err := webhook.NewSigner(secrets, key)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// request sends one as it is and returns the status.
func request(t *testing.T, method, url string, header http.Header, body []byte) (status int, allow string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Allow")
}
