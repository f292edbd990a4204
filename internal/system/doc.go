// Package system owns what the operating system allows this process and shows
// of it: how many files it may open, and that nobody reads its memory.
package system
