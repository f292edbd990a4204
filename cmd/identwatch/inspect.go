package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/tasks"
)

// openInspected opens the Redis of the commands that look at sessions.
func openInspected() (redis.UniversalClient, config.Inspect, error) {
	cfg, err := config.LoadInspect(config.Check[config.Inspect]{
		Names: []string{"REDIS_URL"},
		Find:  func(cfg config.Inspect) error { return settings.CheckRedisURL(cfg.RedisURL) },
	})
	if err != nil {
		return nil, cfg, err
	}
	rdb, err := tasks.OpenRedis(cfg.RedisURL.Reveal())
	return rdb, cfg, err
}

// openSessions returns the sessions of a Redis that must have as many shards as SHARDS
// says, which is 0 if it is not set.
func openSessions(ctx context.Context, rdb redis.UniversalClient, n int) (*admin.Sessions, error) {
	own, err := shards.New(n, rdb)
	if err != nil {
		return nil, fmt.Errorf("SHARDS %w", err)
	}
	if err := shards.Agree(ctx, rdb, own); err != nil {
		if errors.Is(err, shards.ErrOther) {
			return nil, err
		}
		return nil, explainRedis(ctx, rdb, err)
	}
	return admin.New(rdb, own), nil
}

// usageOf makes a usage error of a session that cannot be one, naming what is
// the user's: the argument TOKEN, and --account.
func usageOf(err error) error {
	invalid, ok := errors.AsType[*tasks.ValidationError](err)
	if !ok {
		return err
	}
	faults := make([]string, len(invalid.Fields))
	for i, field := range invalid.Fields {
		name := field.Field
		if name == "account" {
			name = "--account"
		}
		faults[i] = name + " " + field.Problem
	}
	return usagef("%s", strings.Join(faults, "; "))
}

// checkAccount judges --account.
func checkAccount(account string) error {
	_, err := session.NewName(account, "sample")
	return usageOf(err)
}

// redisTimeout bounds the question whether Redis can be used.
const redisTimeout = 5 * time.Second

// explainRedis says of an error, if it is so, that Redis cannot be used, or a master of
// the cluster cannot.
func explainRedis(ctx context.Context, rdb redis.UniversalClient, err error) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if cause := redisinfo.Ping(ctx, rdb); cause != nil {
		return fmt.Errorf("Redis at REDIS_URL cannot be used: %w", cause) //nolint:staticcheck // Redis is a name
	}
	masters, _ := redisinfo.ReadAll(ctx, rdb)
	for _, m := range masters {
		if m.Err != nil {
			return fmt.Errorf("a master of the cluster at REDIS_URL cannot be used, and the sessions of its shards wait: %w", m.Err)
		}
	}
	return err
}

// moment shows a time to people, in full and relative to now.
func moment(t, now time.Time) string {
	return t.Local().Format(time.DateTime+" MST") + " (" + relative(t, now) + ")"
}

// relative is such as "3m ago" or "in 28s"; "now" within a second.
func relative(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d >= time.Second:
		return short(d) + " ago"
	case d <= -time.Second:
		return "in " + short(-d)
	}
	return "now"
}

// short is a duration in its two largest units, such as 2d3h, 4h, 5m20s.
func short(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := fmt.Sprint(int64(d/u.size), u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += fmt.Sprint(int64(rest), units[i+1].name)
			}
		}
		return text
	}
	return "0s"
}

// outcomeOf is the outcome in a word, with the reason.
func outcomeOf(s admin.Status) string {
	outcome := strings.TrimPrefix(s.Outcome, "identification.")
	if s.Reason != "" {
		outcome += " (" + s.Reason + ")"
	}
	return cmp.Or(outcome, "-")
}
