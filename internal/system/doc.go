// Package system owns what the operating system allows this process and shows
// of it: how many files it may open, and that nobody reads its memory.
//
// Read files.go and memory_linux.go; files_other.go and memory_other.go are for systems without either.
package system
