package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// usage is what a process used so far.
type usage struct {
	processor time.Duration // to a hundredth of a second, as Linux counts
	memory    int64         // the most that was resident, in bytes
}

func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, fmt.Errorf("this needs Linux: %w", err)
	}
	// The second field is the program's name in brackets, which may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const userTime, systemTime = 11, 12
	for _, field := range [][]byte{fields[userTime], fields[systemTime]} {
		ticks, err := strconv.Atoi(string(field))
		if err != nil {
			return u, err
		}
		u.processor += time.Duration(ticks) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) //nolint:gosec // the id of a process of our own
	if err != nil {
		return u, err
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	if words := bytes.Fields(after); len(words) > 0 {
		kilobytes, _ := strconv.ParseInt(string(words[0]), 10, 64)
		u.memory = kilobytes << 10
	}
	return u, nil
}
