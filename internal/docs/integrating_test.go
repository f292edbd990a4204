package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/freeport"
)

// integrating returns the fenced blocks of a language in docs/integrating.md.
func integrating(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "integrating.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/integrating.md has no %s block", language)
	}
	return found
}

// TestIntegrating_WorksAsWritten runs every program and every command of docs/integrating.md, in their order, with ports
// of its own and a copy of the receiver.
func TestIntegrating_WorksAsWritten(t *testing.T) {
	t.Parallel()
	onPath(t, "curl")
	if modules, _ := exec.Command(onPath(t, "php"), "-m").Output(); !strings.Contains(string(modules), "pdo_sqlite") && os.Getenv("CI") == "" {
		t.Skip("PHP has no pdo_sqlite")
	}
	url, _ := aRedis(t)
	dir := t.TempDir()
	for _, block := range integrating(t, "php") {
		name := regexp.MustCompile(`^<\?php\n// (\w+\.php)\n`).FindStringSubmatch(block)
		if name == nil {
			t.Fatalf("a PHP block does not begin by naming itself:\n%s", block)
		}
		if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "examples", "php"), os.DirFS(filepath.Join(root, "examples", "php"))); err != nil {
		t.Fatal(err)
	}
	simulator, receiver, service := freeport.Port(t), freeport.Port(t), freeport.Port(t)
	commands := strings.Join(integrating(t, "sh"), "\n")
	for _, change := range [][2]string{
		{"go build -o identwatch ./cmd/identwatch", "cp " + identwatch(t) + "/identwatch ."},
		{"redis://127.0.0.1:6379/0", url},
		{"http://127.0.0.1:8090", "http://127.0.0.1:" + simulator},
		{"identwatch simulate &", "identwatch simulate --listen 127.0.0.1:" + simulator + " &"},
		{"127.0.0.1:8091", "127.0.0.1:" + receiver},
		{"http://127.0.0.1:8080", "http://127.0.0.1:" + service},
		{"sleep 2\n", awaitPorts},
		{"sleep 5\n", "await order-1842\n"},
	} {
		if !strings.Contains(commands, change[0]) {
			t.Fatalf("the commands lack %s", change[0])
		}
		commands = strings.ReplaceAll(commands, change[0], change[1])
	}
	out := shell(t, dir, commands+"\nfor n in 3 4 5; do await order-184$n; done\ncat decisions\n", "LISTEN=127.0.0.1:"+service)
	for _, want := range []string{
		`"control_code"`, "show to the person: ", "whsec_",
		"order-1842 identified", "order-1843 review", "order-1844 not_identified refused", "order-1845 not_identified no_account",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not print %q\n%s", want, out)
		}
	}
}

// awaitPorts replaces the pauses of the page: a busy machine needs longer, and an idle one less.
const awaitPorts = `
for i in $(seq 1200); do
  curl -s -o /dev/null "$MARKSIGN_URL" && curl -s -o /dev/null "$CALLBACK_URL" && curl -s -o /dev/null "$API_URL/healthz" && break
  sleep 0.1
done
await() {
  for i in $(seq 1200); do
    php -r 'foreach ((new PDO("sqlite:examples/php/inbox.db"))->query("SELECT reference, decision, reason FROM results", PDO::FETCH_NUM) as $row) { echo implode(" ", $row), "\n"; }' > decisions
    grep -q "^$1 " decisions && return
    sleep 0.2
  done
}
`
