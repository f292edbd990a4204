package screen

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

func TestScreen_RedrawsTheRegionBelowWhatIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := New(&out)
	s.Draw([]string{"one", "two"})
	if got, want := out.String(), "\x1b[?25l\r\x1b[Jone\ntwo\n"; got != want {
		t.Errorf("the first region is %q, want %q", got, want)
	}
	out.Reset()
	fmt.Fprintln(s, "an event")
	if got, want := out.String(), "\x1b[?25l\r\x1b[2A\x1b[Jan event\none\ntwo\n"; got != want {
		t.Errorf("what is printed is %q, want %q", got, want)
	}
	out.Reset()
	s.Draw(nil)
	if got, want := out.String(), "\x1b[?25l\r\x1b[2A\x1b[J"; got != want {
		t.Errorf("the region's end is %q, want %q", got, want)
	}
	out.Reset()
	s.Close()
	if got, want := out.String(), "\x1b[?25h"; got != want {
		t.Errorf("the end is %q, want %q", got, want)
	}
	out.Reset()
	fmt.Fprintln(s, "the last word")
	if got, want := out.String(), "the last word\n"; got != want {
		t.Errorf("what is printed afterwards is %q, want %q", got, want)
	}
}

func TestIsTerminal_IsFalseForFilesAndBuffers(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if IsTerminal(file) || IsTerminal(&bytes.Buffer{}) {
		t.Error("a file is taken for a terminal")
	}
	if columns, lines := Size(file); columns != 100 || lines != 30 {
		t.Errorf("got %d by %d", columns, lines)
	}
}
