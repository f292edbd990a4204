//go:build unix

package webhook

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const withoutDescriptors = "WEBHOOK_TEST_WITHOUT_DESCRIPTORS"

// A process of its own has no descriptor left, and does not hold it against the receiver, be it named or numbered.
func TestSend_TellsThatThisProcessHasNoDescriptorLeft(t *testing.T) {
	t.Parallel()
	if os.Getenv(withoutDescriptors) != "" {
		sendWithoutDescriptors(t)
		return
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), withoutDescriptors+"=yes")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func sendWithoutDescriptors(t *testing.T) {
	t.Helper()
	s := newTestSender(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var files []*os.File // kept, so that none of them is collected
	for {
		file, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for _, url := range []string{"http://127.0.0.1:8091/", "http://receiver.test.:8091/"} {
		if got := s.Send(t.Context(), url, "msg_1", []byte("{}")); got.Cause != CauseHere || !strings.Contains(got.Detail, "raise its limit") {
			t.Errorf("%s: %+v, want it to say what this process lacks", url, got)
		}
	}
	for _, file := range files {
		file.Close()
	}
}
