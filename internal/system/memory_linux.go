package system

import "golang.org/x/sys/unix"

// HideMemory keeps the memory of the process, which holds secrets and identities,
// out of core dumps, and from other processes of the same user: they can neither
// attach to it nor read its environment in /proc. A program that it starts is not
// hidden. What the system refuses is left as it is: it makes nothing worse.
func HideMemory() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	// The limit alone is not enough: a pipe in core_pattern gets a dump all the same.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
