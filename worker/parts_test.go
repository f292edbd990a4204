package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/redistest"
	sess "github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

func TestPace_IsAFunctionOfTheSessionsAge(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{
		0: time.Second, 29 * time.Second: time.Second, 30 * time.Second: 2 * time.Second, 59 * time.Second: 2 * time.Second,
		60 * time.Second: 3 * time.Second, 2 * time.Minute: 5 * time.Second, 24 * time.Hour: 5 * time.Second,
	} {
		least, most := time.Hour, time.Duration(0)
		for range 2000 {
			pause := DefaultPace().after(age)
			least, most = min(least, pause), max(most, pause)
		}
		if least < want*9/10 || most > want*11/10 || most-least < want/10 {
			t.Errorf("at %v the pause is between %v and %v, want %v ±10 %%", age, least, most, want)
		}
	}
}

func TestErrorBackoff_RisesToThirtySecondsAndNeverStops(t *testing.T) {
	t.Parallel()
	b := newErrorBackoff()
	for i := range 100 {
		pause, want := b.NextBackOff(), min(time.Second<<min(i, 10), 30*time.Second)
		if pause < want*8/10 || pause > want*12/10 {
			t.Fatalf("pause %d is %v, want %v ±20 %%", i+1, pause, want)
		}
	}
}

func TestEventID_IsAFunctionOfTheSessionAlone(t *testing.T) {
	t.Parallel()
	const pinned = "evt_268a6efb4cc99a8b4dccc4e5a1463b66" // a release that changes it breaks every receiver's deduplication
	if got := eventID("default:a"); got != pinned || got == eventID("default:b") {
		t.Errorf("the id is %s", got)
	}
}

func TestIdentifiedResult_DropsNothingThatMarkSignSent(t *testing.T) {
	t.Parallel()
	s := sess.Job{Token: "a", Method: sess.MobileID, Checks: []sess.Check{sess.PEPs, sess.Sanctions}}
	r, err := ending{s, 3, time.Now()}.identified(&marksign.Identity{
		Code: "1", PEPs: json.RawMessage(`"odd"`), Sanctions: json.RawMessage(`[1]`), Upstream: json.RawMessage(`{"status":"ok","new":{"a":[1]}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	event, err := webhook.Parse(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var upstream map[string]json.RawMessage
	if err := json.Unmarshal(event.Data.Upstream, &upstream); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"status": `"ok"`, "new": `{"a":[1]}`, "peps_data": `"odd"`, "sanctions_data": `[1]`} {
		if string(upstream[name]) != want {
			t.Errorf("upstream.%s is %s, want %s", name, upstream[name], want)
		}
	}
	if event.Data.PEPs.Result != webhook.Unknown || event.Data.Sanctions.Result != webhook.Unknown {
		t.Errorf("the checks: %s, %s", event.Data.PEPs.Result, event.Data.Sanctions.Result)
	}
}

func TestUpstream_OfNothingIsNothing(t *testing.T) {
	t.Parallel()
	for _, nothing := range []string{"", "null", "[]", "{}", " [ ] "} {
		id := &marksign.Identity{PEPs: json.RawMessage(nothing)}
		if got := upstream(id, webhook.NewCheck(id.PEPs, false), webhook.NewCheck(nil, false)); got != nil {
			t.Errorf("%q becomes %s", nothing, got)
		}
	}
}

func TestIsFailure_CountsWhatFailedAndNotWhatWaits(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want bool
	}{
		"following":             {errFollowing(time.Second), false},
		"full":                  {errFull(time.Second), false},
		"Redis":                 {errRedis(), false},
		"a callback that fails": {&pause{0, "x", true}, true},
		"wrapped":               {fmt.Errorf("x: %w", errFull(time.Second)), false},
		"asynq's lease":         {asynq.ErrLeaseExpired, false},
		"cancelled":             {context.Canceled, false},
		"out of time":           {context.DeadlineExceeded, false},
		"a broken payload":      {errPayload(errors.New("x")), true},
		"anything else":         {errors.New("x"), true},
	} {
		if got := isFailure(row.err); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRetryDelay_IsWhatTheHandlerAsksFor(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want time.Duration
	}{
		{errFollowing(7 * time.Second), 7 * time.Second},
		{fmt.Errorf("x: %w", errFull(time.Second)), time.Second},
		{asynq.ErrLeaseExpired, 0},
		{context.Canceled, 0},
		{errors.New("x"), time.Second},
	} {
		if got := retryDelay(3, row.err, nil); got != row.want {
			t.Errorf("%v: %v, want %v", row.err, got, row.want)
		}
	}
}

func TestCheckRedis_SaysWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	unsafe, err := CheckRedis(t.Context(), redistest.Start(t, "--maxmemory-policy", "allkeys-lru").Client())
	if err != nil || len(unsafe) != 2 || !strings.Contains(unsafe[0], "allkeys-lru") || !strings.Contains(unsafe[1], "appendonly") {
		t.Errorf("unsafe %q, error %v", unsafe, err)
	}
	unsafe, err = CheckRedis(t.Context(), redistest.Start(t, "--appendonly", "yes").Client())
	if err != nil || len(unsafe) != 0 {
		t.Errorf("unsafe %q, error %v", unsafe, err)
	}
	server := redistest.Start(t, "--appendonly", "yes")
	opts, err := redis.ParseURL("rediss://redis.example/0?skip_verify=true")
	if err != nil {
		t.Fatal(err)
	}
	opts.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) { // instead of TLS, which this Redis does not speak
		return new(net.Dialer).DialContext(ctx, network, server.Addr)
	}
	unverified := redis.NewClient(opts)
	defer unverified.Close()
	unsafe, err = CheckRedis(t.Context(), unverified)
	if err != nil || len(unsafe) != 1 || !strings.Contains(unsafe[0], "skip_verify") {
		t.Errorf("a Redis whose certificate is not verified: %v, error %v", unsafe, err)
	}
	if _, err := CheckRedis(t.Context(), redistest.Start(t, "--cluster-enabled", "yes").Client()); err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("a cluster: %v", err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	if _, err := CheckRedis(t.Context(), rdb); err == nil {
		t.Error("a Redis that is not there is fit")
	}
}

func TestUnsafeSettings_OfOlderAndOtherServers(t *testing.T) {
	t.Parallel()
	info := parseInfo("# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:slave\r\n")
	if unsafe := unsafeSettings(info); len(unsafe) != 1 || !strings.Contains(unsafe[0], "replica") {
		t.Errorf("a replica: %q", unsafe)
	}
}
