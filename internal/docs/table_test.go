package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// situations are what a backend engineer will ask about; each must have a row.
var situations = []string{
	"has not confirmed yet", "refuses", "expires", "does not know the token", "MarkSign is down", "rejects the access token",
	"callback fails", "callback is slow", "callback is gone", "host keeps failing", "outcome key is lost", "SIGTERM", "kill -9", "Redis is down", "pauses the queue", "enqueued twice", "cancels",
}

func TestWhatHappensWhen_HasARowForEachSituation(t *testing.T) {
	t.Parallel()
	rows := whatHappensWhen(t)
	for _, situation := range situations {
		matching := 0
		for _, row := range rows {
			if strings.Contains(row[0], situation) {
				matching++
			}
		}
		if matching == 0 {
			t.Errorf("no row says what happens when … %s", situation)
		}
	}
}

func TestWhatHappensWhen_EachRowIsShownByATest(t *testing.T) {
	t.Parallel()
	for _, row := range whatHappensWhen(t) {
		names := testName.FindAllString(row[2], -1)
		if len(names) == 0 {
			t.Errorf("no test shows what happens when … %s", row[0])
		}
		if left := strings.Trim(testName.ReplaceAllString(row[2], ""), " `"); left != "" {
			t.Errorf("%s: %q is no name of a test", row[0], left)
		}
	}
}

// Every page names tests that there are.
func TestPages_NameTestsThatThereAre(t *testing.T) {
	t.Parallel()
	tests := testsOfTheRepository(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testName.FindAllString(string(text), -1) {
			if !tests[name] {
				t.Errorf("%s names %s, and there is no such test", filepath.Base(page), name)
			}
		}
	}
}

// The page on reliability tells of each promise by a test.
func TestReliability_ShowsEveryPromise(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	promises := regexp.MustCompile(`(?m)^## \d\. `).Split(string(text), -1)[1:]
	if len(promises) != 7 {
		t.Fatalf("%d promises, want 7", len(promises))
	}
	for _, promise := range promises {
		if !testName.MatchString(promise) {
			t.Errorf("no test shows the promise %.30s", promise)
		}
	}
}

var testName = regexp.MustCompile(`\bTest[A-Z]\w+`)

// whatHappensWhen returns the cells of the table's rows.
func whatHappensWhen(t *testing.T) [][]string {
	t.Helper()
	_, section, found := strings.Cut(prose(t), "\n## What happens when…\n")
	if !found {
		t.Fatal("README.md has no section What happens when…")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("the row has %d cells: %s", len(cells), line)
		}
		rows = append(rows, cells)
	}
	return rows[2:]
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// testsOfTheRepository returns the names of all tests.
func testsOfTheRepository(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
