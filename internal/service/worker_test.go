package service

import (
	"maps"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/config/configtest"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/worker"
)

func TestWorkerOptions_CarryEverySetting(t *testing.T) {
	variables := configtest.Secrets()
	maps.Copy(variables, map[string]string{
		"REDIS_URL": "redis://127.0.0.1:1", "MARKSIGN_URL": "http://localhost:1/base", "MARKSIGN_LOCALE": "en",
		"CALLBACK_URL": "https://example.com/", "POLL_PACE": "2s,1m:10s", "POLL_RATE": "7", "POLL_WORKERS": "8", "FOLLOW_LIMIT": "9",
		"LEASE": "4s", "SESSION_TIMEOUT": "11m", "DELIVERY_WINDOW": "12h", "DELIVERY_TIMEOUT": "13s", "DELIVERY_CONCURRENCY": "14",
		"REDELIVERY_WINDOW": "0", "SHUTDOWN_TIMEOUT": "16s",
	})
	configtest.Set(t, variables)
	cfg, err := config.LoadServe(settings.Checks)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := settings.NewAccounts(cfg, settings.ClosedTo(cfg))
	if err != nil {
		t.Fatal(err)
	}
	got := workerOptions(cfg, accounts, nil, nil)
	account := got.Accounts[0]
	if account.Name != "default" || account.Sender == nil || account.MarkSign != (worker.MarkSign{BaseURL: "http://localhost:1/base", AccessToken: "access-token-1", Locale: "en"}) ||
		account.CallbackURL != "https://example.com/" || got.PollRate != 7 || got.PollWorkers != 8 || got.FollowLimit != 9 ||
		got.Lease != 4*time.Second || got.SessionTimeout != 11*time.Minute || got.DeliveryWindow != 12*time.Hour ||
		got.DeliveryTimeout != 13*time.Second || got.DeliveryConcurrency != 14 || got.ShutdownTimeout != 16*time.Second {
		t.Errorf("got %+v", got)
	}
	if got.RedeliveryWindow >= 0 {
		t.Errorf("a redelivery window of 0 became %v, which is not to erase at once", got.RedeliveryWindow)
	}
	want := worker.Pace{{From: 0, Every: 2 * time.Second}, {From: time.Minute, Every: 10 * time.Second}}
	if len(got.Pace) != 2 || got.Pace[0] != want[0] || got.Pace[1] != want[1] {
		t.Errorf("got pace %v", got.Pace)
	}
}
