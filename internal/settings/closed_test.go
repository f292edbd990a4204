package settings

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/config/configtest"
	"github.com/identwatch/identwatch/webhook"
)

// A network that is open to callbacks opens neither the Redis in it nor the service, by address or by name.
func TestSender_ReachesNeitherRedisNorTheServiceItself(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	var addrs []string
	for range 2 { // Redis, and LISTEN
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			if conn, err := listener.Accept(); err == nil {
				conn.Close()
				t.Error("a callback arrived")
			}
		}()
		addrs = append(addrs, listener.Addr().String())
	}
	variables := configtest.Secrets()
	variables["REDIS_URL"], variables["LISTEN"] = "redis://"+addrs[0], addrs[1]
	variables["CALLBACK_ALLOW_NETWORKS"], variables["CALLBACK_ALLOW_HTTP"] = "127.0.0.0/8", "true"
	configtest.Set(t, variables)
	cfg, err := config.LoadServe(Checks)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := NewAccounts(cfg, ClosedTo(cfg))
	if err != nil {
		t.Fatal(err)
	}
	sender := accounts[0].Sender
	for _, addr := range addrs {
		if err := sender.CheckURL("http://" + addr + "/"); err == nil {
			t.Errorf("a URL with %s is taken", addr)
		}
		named := "http://" + strings.Replace(addr, "127.0.0.1", "localhost", 1) + "/"
		want := webhook.Result{Cause: webhook.CauseRules, Detail: webhook.DetailClosed}
		if got := sender.Send(t.Context(), named, "evt_1", nil); got.Cause != want.Cause || got.Verdict == webhook.Delivered {
			t.Errorf("%s: %+v, want %+v", named, got, want)
		}
	}
	if got := sender.Send(t.Context(), receiver.URL, "evt_1", nil); got.Verdict != webhook.Delivered {
		t.Errorf("a receiver beside them: %+v", got)
	}
}
