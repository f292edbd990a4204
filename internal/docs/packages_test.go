package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each package comment names its files, in the order in which they are read. The
// command's files have the names of its commands.
func TestPackages_NameTheirFiles(t *testing.T) {
	t.Parallel()
	named := 0
	for dir, files := range packageFiles(t) {
		if len(files) < 2 || strings.HasPrefix(dir, "examples") || dir == "cmd/identwatch" {
			continue
		}
		comment := packageComment(t, dir, files)
		for _, file := range files {
			if file != "doc.go" && !strings.Contains(comment, file) {
				t.Errorf("the comment of package %s does not name %s", dir, file)
			}
			named++
		}
	}
	if named < 100 {
		t.Errorf("only %d files were looked at", named)
	}
}

// packageFiles are the files of each package, without tests, by its directory.
func packageFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			dir, relErr := filepath.Rel(root, filepath.Dir(path))
			files[dir] = append(files[dir], entry.Name())
			return relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// packageComment is what stands above the package clauses of a package's files.
func packageComment(t *testing.T, dir string, files []string) string {
	t.Helper()
	var comments []string
	for _, name := range slices.Sorted(slices.Values(files)) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		comments = append(comments, file.Doc.Text())
	}
	return strings.Join(comments, "\n")
}
