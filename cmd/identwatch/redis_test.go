package main

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestWithSetting_KeepsWhatTheURLSets(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]string{
		"redis://host":                           "redis://host?pool_size=64",
		"rediss://:p%40ss@host:6380/3?db=1":      "rediss://:p%40ss@host:6380/3?db=1&pool_size=64",
		"redis://host?pool_size=5":               "redis://host?pool_size=5",
		"redis-socket:///run/redis.sock":         "redis-socket:///run/redis.sock",
		"redis-sentinel://a:1,b:2/0?master=name": "redis-sentinel://a:1,b:2/0?master=name",
		"redis://host?%zz":                       "redis://host?%zz",
	} {
		if got := withSetting(rawURL, "pool_size", "64"); got != want {
			t.Errorf("%s: got %s, want %s", rawURL, got, want)
		}
	}
}

// answer is an error that Redis answered.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestRefusedByRedis_TellsRefusalsFromTrouble(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{answer("WRONGPASS invalid username-password pair or user is disabled."), true},
		{answer("NOAUTH Authentication required."), true},
		{answer("NOPERM this user has no permissions to run the 'ping' command"), true},
		{answer("ERR DB index is out of range"), true},
		{answer("DENIED Redis is running in protected mode"), true},
		{fmt.Errorf("wrapped: %w", answer("NOAUTH Authentication required.")), true},
		{answer("LOADING Redis is loading the dataset in memory"), false},
		{answer("MASTERDOWN Link with MASTER is down"), false},
		{answer("ERR max number of clients reached"), false},
		{fmt.Errorf("all sentinels are unreachable: %w", redis.Nil), false},
		{io.EOF, false},
		{errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), false},
	} {
		if got := refusedByRedis(test.err); got != test.want {
			t.Errorf("%v: got %t, want %t", test.err, got, test.want)
		}
	}
}
