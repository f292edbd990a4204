package tasks

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestStatus_OfTheClientsAccount(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, err := NewClient(ClientConfig{Redis: rdb, Account: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), Session{Token: "a", Method: SmartID}); err != nil {
			t.Fatal(err)
		}
		want := Status{Account: "shop", Token: "a", State: Waiting}
		for _, account := range []string{"", "shop"} {
			if got, err := client.Status(t.Context(), account, "a"); err != nil || got != want {
				t.Errorf("%q: %+v, %v", account, got, err)
			}
		}
		for _, do := range []func(context.Context, string, string) (Status, error){client.Status, client.Cancel} {
			if got, err := do(t.Context(), "default", "a"); !errors.Is(err, ErrNoSession) || got != (Status{}) {
				t.Errorf("another account: %+v, %v", got, err)
			}
			if got, err := do(t.Context(), "Shop", "a/b"); len(fields(t, err)) != 2 || got != (Status{}) {
				t.Errorf("an impossible session: %+v, %v", got, err)
			}
		}
	})
}

func TestCancel_SaysHowTheSessionStandsThen(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client := newClient(t, rdb)
		for _, token := range []string{"a", "late"} {
			if err := client.Enqueue(t.Context(), Session{Token: token, Method: SmartID}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // to repeat it is no error
			got, err := client.Cancel(t.Context(), "", "a")
			if err != nil || got.State != Cancelled || got.Removal != "pending" || got.EndedAt.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if got, err := client.Status(t.Context(), "", "a"); err != nil || got.State != Cancelled {
			t.Errorf("%+v, %v", got, err)
		}
		rdb.HSet(t.Context(), "identwatch:default:late", "v", 1, "state", "delivered", "type", "identification.refused")
		if got, err := client.Cancel(t.Context(), "", "late"); !errors.Is(err, ErrOutcomeFirst) || got.State != Delivered || got.Outcome != "identification.refused" {
			t.Errorf("after another outcome: %+v, %v", got, err)
		}
		rdb.HSet(t.Context(), "identwatch:default:newer", "v", 2, "state", "elsewhere")
		if _, err := client.Status(t.Context(), "", "newer"); !errors.Is(err, ErrNewerRecord) {
			t.Errorf("a record of a later release: %v", err)
		}
	})
}

func TestStatus_SaysWhatIsWrongWithRedis(t *testing.T) {
	t.Parallel()
	client, err := NewClient(ClientConfig{RedisURL: "redis://:hidden@127.0.0.1:1?max_retries=-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for want, do := range map[string]func(context.Context, string, string) (Status, error){
		"asking how the session stands: Redis cannot be reached: ": client.Status, "cancelling the session: Redis cannot be reached: ": client.Cancel,
	} {
		if got, err := do(t.Context(), "", "a"); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hidden") || got != (Status{}) {
			t.Errorf("%+v, %v", got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := do(ctx, "", "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}
