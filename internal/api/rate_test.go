package api

import (
	"net/http"
	"testing"

	"golang.org/x/time/rate"
)

func TestRate_IsOfAnAccountAndCountsTheSessionsOfABatch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	held := d.api.keys.find(d.keys["shop"]).account
	held.allowed = allowance{rate.NewLimiter(0.001, 5)}
	got := shop.do(http.MethodPost, "/v1/sessions", aSession("a"))
	got.session(http.StatusAccepted)
	if got.header.Get("RateLimit-Policy") != `"account";q=5;w=5000` || got.header.Get("RateLimit") != `"account";r=4;t=1000` {
		t.Errorf("the headers are %v", got.header)
	}
	three := map[string]any{"sessions": []any{aSession("b"), aSession("c"), map[string]any{}}}
	shop.do(http.MethodPost, "/v1/sessions:batch", three).into(http.StatusOK, new(BatchAnswer))
	got = shop.do(http.MethodPost, "/v1/sessions:batch", three)
	got.problem(http.StatusTooManyRequests, "too_fast")
	if got.header.Get("Retry-After") != "2000" {
		t.Errorf("Retry-After is %s", got.header.Get("Retry-After"))
	}
	other := shop.with("Authorization", "Bearer "+d.others["shop"])
	other.do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusTooManyRequests, "too_fast")
	d.as("crm").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
}

func TestRate_WithoutABoundThereIsNoHeader(t *testing.T) {
	t.Parallel()
	if got := newDesk(t).as("shop").do(http.MethodGet, "/v1/sessions/a", nil); got.header.Get("RateLimit") != "" {
		t.Errorf("RateLimit is %s", got.header.Get("RateLimit"))
	}
}
