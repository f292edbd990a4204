package doctor

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/webhook"
)

// silent is what accepts everything and answers nothing.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func silentRedis() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Dialer: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		return near, nil
	}})
}

// silence is a service in which nobody answers, in a bubble of virtual time.
func silence(t *testing.T) (opts Options, end func()) {
	t.Helper()
	p := &practice{t: t, secret: webhook.NewSecret(), key: webhook.NewSigningKey()}
	upstream, err := marksign.New(marksign.Config{BaseURL: "https://marksign.example", AccessToken: accessToken, Transport: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	signer := p.signer(p.secret)
	rdb := silentRedis()
	return Options{Redis: rdb, Accounts: []Account{{
		Name: "shop", Host: "marksign.example", MarkSign: upstream, Sender: p.sender(webhook.SenderConfig{Signer: signer, Transport: silent{}, Timeout: time.Minute}),
		CallbackURL: "https://hooks.example/?geheim", Signer: signer, Secrets: []webhook.Secret{p.secret},
	}}}, func() { _ = rdb.Close() }
}

func TestExamine_WaitsForNobodyForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts, end := silence(t)
		defer end()
		began := time.Now()
		checks := Examine(t.Context(), opts)
		if took := time.Since(began); took != callTimeout {
			t.Errorf("it took %v", took)
		}
		for i, want := range map[int]string{0: "no answer within 5s", 5: "marksign.example: timed out", 6: "hooks.example: timed out after 5.0 s"} {
			if c := checks[i]; c.Status != Failed || c.Detail != want || c.DurationMS != 5000 || c.Advice == "" {
				t.Errorf("%+v", c)
			}
		}
	})
}

func TestExamine_EndsAtOnceWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts, end := silence(t)
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		Examine(ctx, opts)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
