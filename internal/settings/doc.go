// Package settings makes of a configuration what it names: the accounts with what
// signs and posts their events, the keys, and what callbacks never reach. It checks
// what only those see who act on a setting, so that package config needs none of them.
//
// The commands and package service share it. It connects to nothing.
//
// Read settings.go, then accounts.go and redis.go.
package settings
