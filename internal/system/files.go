//go:build unix

package system

import (
	"math"

	"golang.org/x/sys/unix"
)

// Files returns how many files and connections the process may have open at once,
// and 0 if the system does not say. Go raised the soft limit to the hard one when
// the program started.
func Files() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // it fits; some systems have it signed
}
