package tasks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestEnqueue_SignsWithItsKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		key := NewPayloadKey()
		client, err := NewClient(ClientConfig{Redis: rdb, PayloadKey: key, Account: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		s := valid()
		s.Account = ""
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		s.Account = "shop"
		if job, err := queue.Decode(state(t, rdb, s).Payload); err != nil || !queue.IsSigned(job, key) {
			t.Errorf("got %+v, %v", job, err)
		}
	})
}

func TestClient_PrintsNoPayloadKey(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb+verb, ClientConfig{PayloadKey: key}, Client{key: key}); strings.Contains(text, key.Encode()[8:20]) {
			t.Errorf("%s shows the key: %s", verb, text)
		}
	}
}
