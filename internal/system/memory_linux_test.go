package system

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// asChild says that the test binary runs for TestHideMemory, which must not
// hide the memory of the tests themselves.
const asChild = "HIDE_MEMORY_CHILD"

func TestHideMemory_LeavesNoCoreAndCannotBeAttachedTo(t *testing.T) {
	if os.Getenv(asChild) == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestHideMemory_", "-test.v")
		child.Env = append(os.Environ(), asChild+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	HideMemory()
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Cur != 0 || core.Max != 0 {
		t.Errorf("cores of %d, at most %d bytes, %v", core.Cur, core.Max, err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
}

func TestFiles_IsTheLimit(t *testing.T) {
	t.Parallel()
	if n := Files(); n < 16 {
		t.Errorf("%d files", n)
	}
}
