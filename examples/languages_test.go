package examples_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// language is how a receiver and its worker are run, and what they kept is looked at.
type language struct {
	name string
	// find returns the commands, for a directory that is the test's own. It skips the test where the machine lacks the
	// language, and fails it in CI.
	find func(t *testing.T, dir, port string) commands
	// look tells what the receiver has in its inbox.
	look func(inbox string) kept
}

type commands struct {
	receive, work []string
	env           []string
}

// kept is what a receiver has: ids of events, and what its worker made of them, by token.
type kept struct {
	stored, handled map[string]bool
	decisions       map[string]string
}

func newKept() kept {
	return kept{stored: map[string]bool{}, handled: map[string]bool{}, decisions: map[string]string{}}
}

var languages = []language{
	{"go", findGo, lookAtFiles},
	{"php", findPHP, func(inbox string) kept { return lookAtTables(inbox, "php", "-r", phpQuery) }},
	{"node", findNode, lookAtFiles},
	{"python", findPython, func(inbox string) kept { return lookAtTables(inbox, python(), "-c", pythonQuery) }},
}

// each runs a test for each language, at the same time.
func each(t *testing.T, test func(t *testing.T, l language)) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			test(t, l)
		})
	}
}

// missing skips the test. In CI nothing may be missing.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not on this machine, and in CI it is required", what)
	}
	t.Skipf("%s is not on this machine", what)
}

func source(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func findGo(*testing.T, string, string) commands {
	binary := filepath.Join(built, "receiver")
	return commands{receive: []string{binary}, work: []string{binary, "work"}}
}

func findPHP(t *testing.T, _, port string) commands {
	t.Helper()
	if modules, err := exec.Command("php", "-m").Output(); err != nil || !strings.Contains(string(modules), "pdo_sqlite") {
		missing(t, "PHP with pdo_sqlite")
	}
	return commands{
		receive: []string{"php", "-S", "127.0.0.1:" + port, source(t, "php/receiver.php")},
		work:    []string{"php", source(t, "php/worker.php")},
	}
}

// findNode takes Express from NODE_PATH, from Debian's place, or from where npm put it. An import asks for a directory
// node_modules and not for NODE_PATH, so that it makes one.
func findNode(t *testing.T, dir, _ string) commands {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "Node")
	}
	for _, modules := range append(filepath.SplitList(os.Getenv("NODE_PATH")), "/usr/share/nodejs", source(t, "node/node_modules")) {
		if _, err := os.Stat(filepath.Join(modules, "express", "package.json")); err != nil {
			continue
		}
		program := filepath.Join(dir, "receiver.mjs")
		text, err := os.ReadFile("node/receiver.mjs")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return commands{receive: []string{node, program}, work: []string{node, program, "work"}, env: []string{"NODE_PATH=" + modules}}
	}
	missing(t, "Express")
	return commands{}
}

// python is one that has FastAPI, "" where there is none. It is looked for once: that takes a while.
var python = sync.OnceValue(func() string {
	for _, name := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.Command(name, "-c", "import fastapi, uvicorn").Run() == nil {
			return name
		}
	}
	return ""
})

func findPython(t *testing.T, _, port string) commands {
	t.Helper()
	name := python()
	if name == "" {
		missing(t, "Python with FastAPI and uvicorn")
	}
	return commands{
		receive: []string{name, "-m", "uvicorn", "--app-dir", source(t, "python"), "--host", "127.0.0.1", "--port", port, "receiver:app"},
		work:    []string{name, source(t, "python/receiver.py")},
		env:     []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"},
	}
}

// lookAtFiles is for an inbox that is a directory.
func lookAtFiles(inbox string) kept {
	k := newKept()
	for _, dir := range []string{"new", "handled", "results"} {
		paths, _ := filepath.Glob(filepath.Join(inbox, dir, "*.json"))
		for _, path := range paths {
			name, _ := url.PathUnescape(strings.TrimSuffix(filepath.Base(path), ".json"))
			switch dir {
			case "results":
				text, _ := os.ReadFile(path)
				_, decision, _ := strings.Cut(string(text), `"decision":"`)
				k.decisions[name], _, _ = strings.Cut(decision, `"`)
			case "handled":
				k.handled[name] = true
				fallthrough
			default:
				k.stored[name] = true
			}
		}
	}
	return k
}

// The queries print lines of three words. A table that is not there yet is empty.
var queries = []string{
	`SELECT 'stored', id, '-' FROM events`,
	`SELECT 'handled', id, '-' FROM events WHERE body IS NULL AND handled_at IS NOT NULL`,
	`SELECT 'decided', token, decision FROM results`,
}

const phpQuery = `
foreach (array_slice($argv, 2) as $query) {
    try {
        foreach ((new PDO("sqlite:$argv[1]"))->query($query, PDO::FETCH_NUM) as $row) { echo implode(' ', $row), "\n"; }
    } catch (PDOException) {}
}`

const pythonQuery = `
import sqlite3, sys
for query in sys.argv[2:]:
    try:
        for row in sqlite3.connect(sys.argv[1]).execute(query):
            print(*row)
    except sqlite3.OperationalError:
        pass`

// lookAtTables is for an inbox that is a database of SQLite's.
func lookAtTables(inbox, interpreter, flag, script string) kept {
	k := newKept()
	out, _ := exec.Command(interpreter, append([]string{flag, script, inbox}, queries...)...).Output()
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		switch words[0] {
		case "stored":
			k.stored[words[1]] = true
		case "handled":
			k.handled[words[1]] = true
		case "decided":
			k.decisions[words[1]] = words[2]
		}
	}
	return k
}
