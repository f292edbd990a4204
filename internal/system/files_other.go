//go:build !unix

package system

// Files returns 0: this system has no such limit.
func Files() int { return 0 }
