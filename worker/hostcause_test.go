package worker

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
)

// The process has no descriptor left for a minute. The receiver is well, and has each event seconds after.
func TestDeliver_GoesOnAtOnceWhenDescriptorsAreFreeAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		ends := time.Now().Add(time.Minute)
		w.receiver.trouble = func(int64) error {
			if time.Now().After(ends) {
				return nil
			}
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		w.start()
		const sessions = 20
		for i := range sessions {
			w.session(fmt.Sprint("tok", i), confirming(0))
		}
		for i := range sessions {
			token := fmt.Sprint("tok", i)
			w.await("the delivery of "+token, 2*time.Minute, func() bool { return w.record(token).State == outcome.Delivered })
			if late := w.receiver.of(token)[0].begun.Sub(ends); late > 10*time.Second {
				t.Errorf("%s: posted %v after the descriptors were free", token, late)
			}
		}
		if logs := w.logs.String(); strings.Contains(logs, "keeps failing") || !strings.Contains(logs, "raise its limit") {
			t.Errorf("the log blames the host, or does not say what to do:\n%.2000s", logs)
		}
	})
}
