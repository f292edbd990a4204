package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/tasks"
)

// invocation is a command of identwatch with what follows it, up to the end of
// the line, the code span or the shell's command.
var invocation = regexp.MustCompile("(?m)(?:^|[ `/])identwatch +([a-z]+)([^`|;&<>\n]*)")

// TestCommands_Exist looks the commands and their flags up in the help.
func TestCommands_Exist(t *testing.T) {
	t.Parallel()
	text := prose(t) + strings.Join(blocks(t, "sh"), "\n")
	help := map[string]string{}
	for _, m := range invocation.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[0], "`") && !inShell(t, m[0]) {
			continue // a sentence about identwatch
		}
		command := m[1]
		if help[command] == "" {
			out, err := exec.Command(filepath.Join(identwatch(t), "identwatch"), command, "--help").CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("identwatch "+command)) {
				t.Errorf("identwatch %s: %v\n%s", command, err, out)
			}
			help[command] = string(out) + "\n"
		}
		for _, flag := range regexp.MustCompile(`(?:^| )--([a-z-]+)`).FindAllStringSubmatch(m[2], -1) {
			if !regexp.MustCompile(`(?m)^ +(-\w, )?--` + flag[1] + `\b`).MatchString(help[command]) {
				t.Errorf("identwatch %s has no flag --%s", command, flag[1])
			}
		}
	}
	for _, command := range []string{"dev", "serve", "enqueue", "status", "sessions", "redeliver", "health", "doctor", "simulate", "secret"} {
		if help[command] == "" {
			t.Errorf("README.md does not show identwatch %s", command)
		}
	}
}

// inShell says whether a text is of a shell block.
func inShell(t *testing.T, text string) bool {
	t.Helper()
	return slices.ContainsFunc(blocks(t, "sh"), func(b string) bool { return strings.Contains(b, strings.TrimSpace(text)) })
}

// shell runs a script as a reader would, with the built command on the PATH. It
// ends what the script left in the background.
func shell(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "output")
	output, err := os.Create(path) // a file: what is left in the background would keep a pipe open
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.CommandContext(t.Context(), onPath(t, "sh"), "-e", "-c", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Env = append(clean(os.Environ()), append(env, "PATH="+identwatch(t)+string(filepath.ListSeparator)+os.Getenv("PATH"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	failure := cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	text, err := os.ReadFile(path)
	if failure != nil || err != nil {
		t.Fatalf("%v %v\n%s", failure, err, text)
	}
	return string(text)
}

// clean takes identwatch's own variables out of an environment.
func clean(env []string) []string {
	return slices.DeleteFunc(env, func(variable string) bool {
		return slices.ContainsFunc(config.Settings(), func(s config.Setting) bool { return strings.HasPrefix(variable, s.Name) })
	})
}

// script returns the shell block that has a text in it.
func script(t *testing.T, text string) string {
	t.Helper()
	for _, block := range blocks(t, "sh") {
		if strings.Contains(block, text) {
			return block
		}
	}
	t.Fatalf("no shell block of README.md has %q", text)
	return ""
}

func TestEnqueueCommands_HaveTheSessionsFollowed(t *testing.T) {
	t.Parallel()
	url, rdb := aRedis(t)
	out := shell(t, t.TempDir(), script(t, "identwatch enqueue --reference"), "REDIS_URL="+url)
	if out != "enqueued 1, refused 0\nenqueued 2, refused 0\n" {
		t.Errorf("got %s", out)
	}
	if got := enqueued(t, rdb, "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f"); got.Reference != "order-1842" || len(got.Checks) != 2 || got.Method != tasks.SmartID {
		t.Errorf("got %+v", got)
	}
	for _, token := range []string{"5d3a97f0", "8c41e2b7"} {
		if got := enqueued(t, rdb, token); got.Method != tasks.MobileID || got.CallbackURL != "https://shop.example/hook" {
			t.Errorf("got %+v", got)
		}
	}
}

// TestDeploy_MakesAnEnvironmentThatServes runs what makes .env, and loads it.
func TestDeploy_MakesAnEnvironmentThatServes(t *testing.T) {
	block, _, found := strings.Cut(script(t, "cat > .env"), "docker compose up")
	if !found {
		t.Fatal("the block does not start Compose")
	}
	const build, inContainer = "docker compose build\n", "docker compose run --rm --no-deps -T identwatch"
	if !strings.Contains(block, build+inContainer) {
		t.Fatal("the block does not make secrets in the container")
	}
	dir := t.TempDir()
	shell(t, dir, strings.NewReplacer(build, "", inContainer, "identwatch").Replace(block))
	file := filepath.Join(dir, ".env")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, error %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		t.Setenv(s.Name, "")
		t.Setenv(s.Name+"_FILE", "")
	}
	t.Setenv("REDIS_URL", "redis://redis:6379/0") // Compose sets it
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		t.Setenv(name, value)
	}
	cfg, err := config.LoadServe(config.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.MonitorPassword.Reveal() == "" || strings.Contains(string(text), "API_KEY=") {
		t.Error("there is no password for /monitor, or the service gets the application's key")
	}
	walk(t, dir)
}

// walk runs the service with the environment that the recipe made, and what it
// says to do next.
func walk(t *testing.T, dir string) {
	t.Helper()
	onPath(t, "curl")
	url, _ := aRedis(t)
	service := freeport.Port(t)
	const begin = `set -a; . ./.env; set +a
identwatch serve &
for i in $(seq 200); do curl -s -o /dev/null "http://127.0.0.1:$PORT/healthz" && break; sleep 0.1; done
`
	next := strings.ReplaceAll(script(t, "api-key.env)"), "http://127.0.0.1:8080", "http://127.0.0.1:"+service)
	out := shell(t, dir, begin+next, "REDIS_URL="+url, "LISTEN=127.0.0.1:"+service, "PORT="+service, "MARKSIGN_URL=http://127.0.0.1:1")
	if !strings.Contains(out, `"state":"waiting"`) {
		t.Errorf("the walk says\n%s", out)
	}
}

// TestTryIt_StoresFiveEvents runs the whole of "try one on this machine", with
// ports of its own, until the five files are there.
func TestTryIt_StoresFiveEvents(t *testing.T) {
	t.Parallel()
	onPath(t, "node")
	url, _ := aRedis(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "receiver.mjs"), []byte(program(t, "js", "receiver.mjs")), 0o600); err != nil {
		t.Fatal(err)
	}
	onPath(t, "curl")
	simulator, receiver, service := freeport.Port(t), freeport.Port(t), freeport.Port(t)
	commands := script(t, "identwatch simulate")
	for _, change := range [][2]string{
		{"go build -o identwatch ./cmd/identwatch", "cp " + identwatch(t) + "/identwatch ."},
		{"redis://127.0.0.1:6379/0", url},
		{"http://127.0.0.1:8090", "http://127.0.0.1:" + simulator},
		{"./identwatch simulate", "./identwatch simulate --confirm-between 1s,3s --listen 127.0.0.1:" + simulator},
		{"http://127.0.0.1:8091", "http://127.0.0.1:" + receiver},
		{"http://127.0.0.1:8080", "http://127.0.0.1:" + service},
		{"sleep 2\n", "for i in $(seq 1200); do curl -s -o /dev/null \"$API_URL/healthz\" && [ -s tokens.txt ] && break; sleep 0.1; done\n"},
	} {
		if !strings.Contains(commands, change[0]) {
			t.Fatalf("the block lacks %s", change[0])
		}
		commands = strings.ReplaceAll(commands, change[0], change[1])
	}
	commands += `
for i in $(seq 1200); do
  [ "$(ls inbox | wc -l)" -ge 5 ] && break
  sleep 0.1
done
`
	began := time.Now()
	out := shell(t, dir, commands, "LISTEN=127.0.0.1:"+service, "PORT="+receiver)
	files, err := os.ReadDir(filepath.Join(dir, "inbox"))
	if err != nil || len(files) != 5 {
		t.Errorf("%d files in the inbox after %v, error %v\n%s", len(files), time.Since(began), err, out)
	}
}
