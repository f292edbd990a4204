package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
)

const (
	settingsBegin = "<!-- settings: written by `go test ./internal/docs -update` -->\n"
	settingsEnd   = "<!-- /settings -->"
)

func TestSettings_AreThoseOfTheCode(t *testing.T) {
	text := readme(t)
	before, rest, found := strings.Cut(text, settingsBegin)
	table, after, ended := strings.Cut(rest, settingsEnd)
	if !found || !ended {
		t.Fatal("README.md lacks the marks around the settings")
	}
	want := "\n" + config.Markdown() + "\n"
	if table == want {
		return
	}
	if !*update {
		t.Fatal("the settings in README.md are not those of the code: run go test ./internal/docs -update")
	}
	if err := os.WriteFile(filepath.Join(root, "README.md"), []byte(before+settingsBegin+want+settingsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// toolVariables are in README.md and none of identwatch's.
var toolVariables = map[string]bool{"PORT": true, "API_URL": true, "API_KEY": true, "REDIS_PASSWORD": true}

// TestVariables_AreKnown looks for names of variables in prose and in programs.
func TestVariables_AreKnown(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range config.Settings() {
		names := []string{s.Name}
		if s.OfAccount {
			names = append(names, "SHOP_"+s.Name, "CRM_"+s.Name)
		}
		for _, name := range names {
			known[name] = true
			known[name+"_FILE"] = s.Secret
		}
	}
	found := 0
	for _, pattern := range []string{
		"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)[=`]", `\b([A-Z][A-Z0-9_]{3,})=`, `(?:Getenv|getenv)\(["']([A-Z_]+)["']\)`, `process\.env\.([A-Z_]+)`,
	} {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(readme(t), -1) {
			found++
			if !known[m[1]] && !toolVariables[m[1]] {
				t.Errorf("README.md names %s, which the configuration does not know", m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d names alone", found)
	}
}
