package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// stuck is a Redis that answers nothing of one account while it is on.
type stuck struct {
	account string
	on      atomic.Bool
	release chan struct{}
}

func (s *stuck) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *stuck) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if s.on.Load() && strings.Contains(fmt.Sprint(cmd.Args()...), s.account+":") {
			<-s.release
		}
		return next(ctx, cmd)
	}
}

func (s *stuck) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestSlots_OneKeysCallsHoldUpNoOther has far more calls of one key hang than a
// process works on at once.
func TestSlots_OneKeysCallsHoldUpNoOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	redisOfShop := &stuck{account: "shop", release: make(chan struct{})}
	d.rdb.AddHook(redisOfShop)
	d.api.patience = 50 * time.Millisecond
	redisOfShop.on.Store(true)
	var calls sync.WaitGroup
	var busy atomic.Int64
	for range 5 * maxCalls {
		calls.Go(func() {
			r := requestFor(t, http.MethodGet, "/v1/sessions/{token}")
			r.Header = d.as("shop").header
			rec := httptest.NewRecorder()
			if d.api.ServeHTTP(rec, r); rec.Code == http.StatusTooManyRequests {
				busy.Add(1)
			}
		})
	}
	calls.Wait()
	redisOfShop.on.Store(false)
	d.api.patience = time.Minute // for a busy machine
	defer close(redisOfShop.release)
	if n := busy.Load(); n != 4*maxCalls {
		t.Errorf("%d calls were refused, want %d", n, 4*maxCalls)
	}
	d.as("shop").do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusTooManyRequests, "busy")
	d.as("crm").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	other := d.as("shop").with("Authorization", "Bearer "+d.others["shop"])
	other.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
}

// TestSlots_SlowBodiesOfOneKeyHoldUpNoOther leaves bodies half sent on real
// connections.
func TestSlots_SlowBodiesOfOneKeyHoldUpNoOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	server := httptest.NewServer(d.api)
	t.Cleanup(server.Close)
	for range maxCalls {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", d.keys["shop"])
	}
	held := d.api.keys.find(d.keys["shop"]).slots
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(held.calls) < maxCalls {
		<-tick.C // a server tells nobody how far it has read
	}
	d.as("shop").do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusTooManyRequests, "busy")
	d.as("crm").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
}
