// Package docs holds no code but the tests that keep README.md true: its
// programs are built and run, its commands and variables exist, and its tables
// are those of the code.
package docs

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

// root is the top of the repository, as the tests see it.
const root = "../.."

var update = flag.Bool("update", false, "write the settings table of README.md anew")

func TestMain(m *testing.M) {
	flag.Parse()
	logging.Disable() // go-redis writes to standard error what it returns anyway
	code := m.Run()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

// readme returns README.md.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the fenced blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, m := range fence.FindAllStringSubmatch(readme(t), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("README.md has no %s block", language)
	}
	return found
}

// program returns the block that begins by naming itself, as in "// receiver.go".
func program(t *testing.T, language, name string) string {
	t.Helper()
	for _, block := range blocks(t, language) {
		if strings.HasPrefix(strings.TrimPrefix(block, "<?php\n"), "// "+name+"\n") {
			return block
		}
	}
	t.Fatalf("README.md has no %s", name)
	return ""
}

// prose is README.md without its fenced blocks.
func prose(t *testing.T) string {
	t.Helper()
	return fence.ReplaceAllString(readme(t), "")
}

// onPath returns a tool of the machine. In CI it must be there.
func onPath(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not on the PATH, and in CI it is required", names[0])
	}
	t.Skipf("%s is not on the PATH", names[0])
	return ""
}

var builtDir string

// built builds the command once and returns the directory that holds it.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "identwatch-docs"); err != nil {
		return "", err
	}
	builtDir = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "identwatch"), "./cmd/identwatch")
	build.Dir, build.Stderr = root, os.Stderr
	return dir, build.Run()
})

// identwatch returns the directory of the built command.
func identwatch(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatalf("building the command: %v", err)
	}
	return dir
}

func TestLinks_LeadToHeadings(t *testing.T) {
	t.Parallel()
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(t), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(prose(t), -1)
	if len(links) == 0 {
		t.Fatal("README.md has no link")
	}
	for _, m := range links {
		switch target := m[1]; {
		case strings.HasPrefix(target, "https://"):
		case strings.HasPrefix(target, "#"):
			if !anchors[target[1:]] {
				t.Errorf("%s leads nowhere", target)
			}
		default:
			file, _, _ := strings.Cut(target, "#")
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
}
