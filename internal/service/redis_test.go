package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

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

func TestFindRedis_ReturnsWhenToldToStop(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	if unsafe, err := findRedis(ctx, rdb, nil); err != nil || unsafe != nil {
		t.Errorf("got %v, %v", unsafe, err)
	}
}
