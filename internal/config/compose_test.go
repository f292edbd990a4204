package config

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// compose is what the tests look at in docker-compose.yml.
type compose struct {
	Services map[string]struct {
		Image           string
		Command         []string
		Environment     map[string]string
		Ports           []string
		Volumes         []string
		StopGracePeriod string `yaml:"stop_grace_period"`
		Healthcheck     struct{ Test []string }
	}
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"identwatch", "redis", "simulator", "receiver"} {
		if c.Services[name].Image == "" {
			t.Fatalf("no service %s with an image", name)
		}
	}
	return c
}

// exampleLine is a variable of .env.example, as it stands or commented out.
type exampleLine struct {
	name, value string
	commented   bool
}

func readExample(t *testing.T) []exampleLine {
	t.Helper()
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var lines []exampleLine
	for _, m := range regexp.MustCompile(`(?m)^(#?)[ \t]*([A-Z][A-Z0-9_]*)=(.*)$`).FindAllSubmatch(text, -1) {
		lines = append(lines, exampleLine{string(m[2]), string(m[3]), len(m[1]) > 0})
	}
	if len(lines) == 0 {
		t.Fatal("no variable in .env.example")
	}
	return lines
}

// isVariable says whether the configuration reads name, or Compose does.
func isVariable(name string) bool {
	return name == "REDIS_PASSWORD" || slices.ContainsFunc(Settings(), func(s Setting) bool {
		return name == s.Name || s.Secret && name == s.fileName()
	})
}

func TestCompose_SetsKnownVariablesAlone(t *testing.T) {
	t.Parallel()
	for name, service := range readCompose(t).Services {
		if service.Image != "identwatch:local" {
			continue
		}
		for variable := range service.Environment {
			if !isVariable(variable) {
				t.Errorf("service %s sets %s, which the configuration does not know", name, variable)
			}
		}
	}
}

// A command line is for every user of the machine to see.
func TestCompose_HasNoSecretOnACommandLine(t *testing.T) {
	t.Parallel()
	for name, service := range readCompose(t).Services {
		for _, s := range Settings() {
			if s.Secret && strings.Contains(strings.Join(service.Command, " "), "${"+s.Name) {
				t.Errorf("the command of service %s has %s", name, s.Name)
			}
		}
	}
	if _, set := readCompose(t).Services["simulator"].Environment["MARKSIGN_ACCESS_TOKEN"]; !set {
		t.Error("the simulator does not get the access token")
	}
}

func TestCompose_RedisKeepsWhatItAccepted(t *testing.T) {
	t.Parallel()
	redis := readCompose(t).Services["redis"]
	command := strings.Join(redis.Command, " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs %q, without %s", command, want)
		}
	}
	if len(redis.Volumes) == 0 || !strings.HasSuffix(redis.Volumes[0], ":/data") {
		t.Errorf("redis has the volumes %q", redis.Volumes)
	}
}

// TestCompose_RedisHasAPassword runs the command of the container, and its health
// check, on this machine.
func TestCompose_RedisHasAPassword(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on the PATH", program)
		}
	}
	const password = "8rQ-_mFpJ2x"
	box := startRedisBox(t, readCompose(t).Services["redis"].Command, password)
	check := readCompose(t).Services["redis"].Healthcheck.Test
	if len(check) != 2 || check[0] != "CMD-SHELL" {
		t.Fatalf("redis has the health check %q", check)
	}
	for auth, healthy := range map[string]bool{password: true, "": false, "wrong": false} {
		if out, err := box.shell(auth, check[1]); (err == nil) != healthy {
			t.Errorf("with the password %q the check ends with %v: %s", auth, err, out)
		}
	}
	if out, _ := box.shell("", "redis-cli config get appendonly"); !strings.Contains(out, "NOAUTH") {
		t.Errorf("without a password it answers %s", out)
	}
	if out, _ := box.shell(password, "redis-cli config get append* maxmemory-policy"); !strings.Contains(out, "everysec") || !strings.Contains(out, "noeviction") {
		t.Errorf("it runs with %s", out)
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", box.server.Process.Pid))
	if err == nil && (!bytes.Contains(arguments, []byte("redis-server")) || bytes.Contains(arguments, []byte(password))) {
		t.Errorf("the process is %q", arguments)
	}
	url := readCompose(t).Services["identwatch"].Environment["REDIS_URL"]
	if got := strings.ReplaceAll(url, "${REDIS_PASSWORD:-}", password); got != "redis://:"+password+"@redis:6379/0" {
		t.Errorf("REDIS_URL is %s", url)
	}
}

func TestCompose_RedisDoesNotStartWithoutAPassword(t *testing.T) {
	t.Parallel()
	box := newRedisBox(t, readCompose(t).Services["redis"].Command, "")
	out, err := box.server.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("set REDIS_PASSWORD in .env")) {
		t.Errorf("it ends with %v: %s", err, out)
	}
}

// redisBox stands for the container: its programs, with a port that is free here.
type redisBox struct {
	t      *testing.T
	dir    string
	server *exec.Cmd
}

func newRedisBox(t *testing.T, command []string, password string) redisBox {
	t.Helper()
	dir := t.TempDir()
	entrypoint := "#!/bin/sh\nprogram=$1\nshift\nexec \"$program\" \"$@\" --port 0 --unixsocket " + dir + "/s --dir " + dir + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-entrypoint.sh"), []byte(entrypoint), 0o700); err != nil {
		t.Fatal(err)
	}
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = strings.ReplaceAll(word, "$$", "$") // as Compose does
	}
	box := redisBox{t, dir, exec.CommandContext(t.Context(), words[0], words[1:]...)}
	box.server.Env = box.environment(password)
	return box
}

func startRedisBox(t *testing.T, command []string, password string) redisBox {
	t.Helper()
	box := newRedisBox(t, command, password)
	if err := box.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.server.Process.Kill(); _ = box.server.Wait() })
	for try := 0; ; try++ {
		if out, err := box.shell(password, "redis-cli ping"); err == nil && strings.Contains(out, "PONG") {
			return box
		} else if try == 300 {
			t.Fatalf("it does not answer: %s", out)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func (b redisBox) environment(password string) []string {
	return append(os.Environ(), "REDISCLI_AUTH="+password, "PATH="+b.dir+":"+os.Getenv("PATH"))
}

// shell runs a line with the redis-cli of the box.
func (b redisBox) shell(password, line string) (string, error) {
	line = strings.ReplaceAll(line, "redis-cli", "redis-cli -s "+b.dir+"/s")
	cmd := exec.CommandContext(b.t.Context(), "sh", "-c", line)
	cmd.Env = b.environment(password)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCompose_WaitsForTheShutdown(t *testing.T) {
	t.Parallel()
	grace, err := time.ParseDuration(readCompose(t).Services["identwatch"].StopGracePeriod)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		if s.Name != "SHUTDOWN_TIMEOUT" {
			continue
		}
		if shutdown := must(parseDuration(s.Default)); grace <= shutdown {
			t.Errorf("stop_grace_period is %v, want more than SHUTDOWN_TIMEOUT's %v", grace, shutdown)
		}
	}
}

func TestCompose_PublishesToThisMachineAlone(t *testing.T) {
	t.Parallel()
	for name, service := range readCompose(t).Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("service %s publishes %s", name, port)
			}
		}
	}
}

func TestExample_HasKnownVariablesAlone(t *testing.T) {
	t.Parallel()
	for _, line := range readExample(t) {
		if !isVariable(line.name) {
			t.Errorf("%s is in .env.example, and the configuration does not know it", line.name)
		}
	}
}

func TestExample_HoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, line := range readExample(t) {
		for _, s := range Settings() {
			if s.Name == line.name && s.Secret && line.value != "" {
				t.Errorf("%s has a value, which people would keep", line.name)
			}
		}
	}
}

func TestExample_WithComposeHasAllThatIsRequired(t *testing.T) {
	t.Parallel()
	provided := readCompose(t).Services["identwatch"].Environment
	for _, s := range Settings() {
		_, byCompose := provided[s.Name]
		byExample := slices.ContainsFunc(readExample(t), func(line exampleLine) bool { return line.name == s.Name })
		if s.Required != "" && !byCompose && !byExample {
			t.Errorf("%s is required, and neither docker-compose.yml nor .env.example has it", s.Name)
		}
	}
}

// TestExample_FilledInServes goes the way of who follows the comments: secrets
// filled in, what Compose sets, then also all demo lines uncommented.
func TestExample_FilledInServes(t *testing.T) {
	secrets := map[string]string{
		"MARKSIGN_ACCESS_TOKEN": "0123456789abcdef", "WEBHOOK_SECRETS": "whsec_" + encoded(32, 1),
		"OUTCOME_KEYS": encoded(32, 2), "WEBHOOK_SIGNING_KEY": "whsk_" + encoded(32, 3),
	}
	clearVariables(t)
	load := func(commented bool) Serve {
		for _, line := range readExample(t) {
			if line.commented == commented {
				t.Setenv(line.name, line.value+secrets[line.name])
			}
		}
		for name, value := range readCompose(t).Services["identwatch"].Environment {
			t.Setenv(name, value)
		}
		return mustLoadServe(t)
	}
	load(false)
	demo := load(true)
	if demo.Accounts[0].CallbackURL != "http://receiver:8091/" || demo.Accounts[0].MarkSignURL != "http://simulator:8090" || len(demo.CallbackAllowNetworks) != 3 {
		t.Errorf("the demo lines give %+v", demo)
	}
}

func TestDockerfile_ChecksHealthAndIsNotRoot(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`CMD ["/identwatch", "health"]`, "\nUSER 65532:65532\n", "CGO_ENABLED=0", `ENTRYPOINT ["/identwatch"]`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("Dockerfile lacks %s", want)
		}
	}
}
