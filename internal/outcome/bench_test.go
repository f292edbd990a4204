package outcome

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// BenchmarkStory tells two stories on a Redis of their own, with a result of the
// usual size and with the largest: one whose first post is acknowledged, and one
// whose event is handed over, claimed, given up and delivered again. It reports
// what each costs: commands that the process sends, commands that Redis runs for
// them, bytes to and from Redis, and Redis's processor time.
func BenchmarkStory(b *testing.B) {
	stories := map[string]func(context.Context, *Store, Session, Result) error{"happy": happyStory, "long": longStory}
	for name, story := range stories {
		for _, size := range []int{2 << 10, 8 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) { benchStory(b, story, size) })
		}
	}
}

func benchStory(b *testing.B, story func(context.Context, *Store, Session, Result) error, size int) {
	rdb := redistest.Start(b).Client()
	var sent counter
	rdb.AddHook(&sent)
	keys, err := NewKeyring(testKey)
	if err != nil {
		b.Fatal(err)
	}
	store := NewStore(Config{Redis: rdb, Keyring: keys, SessionTimeout: time.Minute, DeliveryWindow: time.Hour, RedeliveryWindow: time.Hour})
	large := result
	large.Body = bytes.Repeat([]byte("x"), size)
	tell := func(i int) {
		if err := story(b.Context(), store, Session{ID: "default:" + strconv.Itoa(i), Retention: time.Hour}, large); err != nil {
			b.Fatal(err)
		}
	}
	tell(-1) // has Redis know the scripts
	commands, before := sent.Load(), costs(b, rdb)
	for i := 0; b.Loop(); i++ {
		tell(i)
	}
	b.ReportMetric(float64(sent.Load()-commands-1)/float64(b.N), "commands/op")
	for unit, cost := range costs(b, rdb) {
		b.ReportMetric((cost-before[unit])/float64(b.N), unit)
	}
}

// counter counts the commands that a process sends.
type counter struct{ atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// costs are what Redis has counted since it began.
func costs(b *testing.B, rdb *redis.Client) map[string]float64 {
	b.Helper()
	info, err := rdb.InfoMap(b.Context()).Result()
	if err != nil {
		b.Fatal(err)
	}
	flat := fmt.Sprint(info)
	sum := func(field string) (total float64) {
		for _, found := range regexp.MustCompile(`\b`+field+`:([\d.]+)`).FindAllStringSubmatch(flat, -1) {
			n, err := strconv.ParseFloat(found[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
		return total
	}
	return map[string]float64{
		"redis-commands/op": sum("total_commands_processed"), "bytes-to-redis/op": sum("total_net_input_bytes"),
		"bytes-from-redis/op": sum("total_net_output_bytes"), "redis-cpu-us/op": 1e6 * (sum("used_cpu_user") + sum("used_cpu_sys")),
	}
}

func happyStory(ctx context.Context, s *Store, session Session, result Result) error {
	return firstOf(
		func() error { _, err := s.Follow(ctx, session, "a", Evidence{}); return err },
		func() error { return applied(s.Seal(ctx, session, result, "a", claimTime)) },
		func() error { return applied(s.Deliver(ctx, session, result)) },
		func() error { _, err := s.Removing(ctx, session, 0); return err },
		func() error { return applied(s.EndRemoval(ctx, session, Removed)) },
		func() error { return applied(s.Settle(ctx, session)) },
	)
}

func longStory(ctx context.Context, s *Store, session Session, result Result) error {
	return firstOf(
		func() error { _, err := s.Follow(ctx, session, "a", Evidence{}); return err },
		func() error { return applied(s.Seal(ctx, session, result, "a", claimTime)) },
		func() error { return applied(s.HandOver(ctx, session, "a", "HTTP 503")) },
		func() error { return applied(s.Claim(ctx, session, "b", claimTime)) },
		func() error { return applied(s.Fail(ctx, session, "b", "HTTP 503")) },
		func() error { _, err := s.Keep(ctx, session); return err },
		func() error { return applied(s.Claim(ctx, session, "b", claimTime)) },
		func() error { return applied(s.GiveUp(ctx, session, "b", "HTTP 503", []byte("task"))) },
		func() error { return applied(s.Redeliver(ctx, session)) },
		func() error { _, err := s.Read(ctx, session); return err },
		func() error { return applied(s.Claim(ctx, session, "c", claimTime)) },
		func() error { return applied(s.Deliver(ctx, session, result)) },
	)
}

func firstOf(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func applied(c Change, err error) error {
	if err == nil && !c.Applied {
		return fmt.Errorf("not applied in state %q", c.Record.State)
	}
	return err
}
