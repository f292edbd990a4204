package admin

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

// list is what List yields, as "account:token state", in order.
func list(t *testing.T, sessions *Sessions, chosen Filter) (found []string) {
	t.Helper()
	for s, err := range sessions.List(t.Context(), chosen) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, fmt.Sprintf("%s:%s %s", s.Account, s.Token, s.State))
	}
	slices.Sort(found)
	return found
}

func TestList_ChoosesByAccountAndState(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		enqueue(t, rdb, "default:waits", "shop:waits", "shop:followed", "shop:archived")
		archive(t, rdb, "shop:archived")
		for _, key := range []string{"shop:followed", "default:task-gone"} {
			rdb.HSet(t.Context(), "identwatch:"+key, "v", 1, "state", "following")
		}
		rdb.HSet(t.Context(), "identwatch:default:done", "v", 1, "state", "delivered", "removal", "removed")
		all := []string{"default:done removed", "default:task-gone following", "default:waits waiting", "shop:followed following", "shop:waits waiting"}
		for _, row := range []struct {
			chosen Filter
			want   []string
		}{
			{Filter{}, all},
			{Filter{Account: "shop"}, all[3:]},
			{Filter{Account: "sho"}, nil},
			{Filter{State: Waiting}, []string{all[2], all[4]}},
			{Filter{Account: "default", State: Following}, all[1:2]},
			{Filter{State: Removed}, all[:1]},
			{Filter{State: Delivered}, nil},
		} {
			if got := list(t, New(rdb, session.Shards{}), row.chosen); !slices.Equal(got, row.want) {
				t.Errorf("%+v: %q, want %q", row.chosen, got, row.want)
			}
		}
	})
}

// One record of a later release ends no list, an error of Redis does, and whoever
// has seen enough stops.
func TestList_GoesOnPastARecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	const n = 2500 // more than a page
	for i := range n {
		rdb.HSet(t.Context(), fmt.Sprint("identwatch:default:a", i), "v", 1, "state", "following")
	}
	rdb.HSet(t.Context(), "identwatch:default:later", "v", 2, "state", "following")
	rdb.Set(t.Context(), "identwatch:default:no-record", "x", 0)
	rdb.HSet(t.Context(), "identwatch:default:\x1b[31m", "v", 1, "state", "following")
	rdb.HSet(t.Context(), "asynq:{identwatch-follow}:t:\x1b[31m:a", "state", "pending", "msg", "x")
	rdb.Set(t.Context(), "identwatch:default:a1:sealed", "x", 0)
	enqueue(t, rdb, "default:waiting")
	sessions := New(rdb, session.Shards{})
	told, untold := 0, ""
	for s, err := range sessions.List(t.Context(), Filter{}) {
		switch {
		case errors.Is(err, ErrRecordVersion):
			untold += s.Account + ":" + s.Token
		case err != nil:
			t.Fatal(err)
		default:
			told++
		}
	}
	if told != n+1 || untold != "default:later" {
		t.Errorf("%d are listed, and not %q", told, untold)
	}
	for range sessions.List(t.Context(), Filter{State: Waiting}) {
		break
	}
	seen := 0
	for range sessions.List(t.Context(), Filter{State: Following}) {
		if seen++; seen == 7 {
			break
		}
	}
	for _, account := range []string{"", "*"} {
		server.SetError("LOADING Redis is down in this test")
		errs := 0
		for s, err := range sessions.List(t.Context(), Filter{Account: account}) {
			invalid := new(session.ValidationError)
			if errs++; err == nil || s != (Status{}) || errors.As(err, &invalid) != (account == "*") {
				t.Errorf("%+v, %v", s, err)
			}
		}
		server.SetError("")
		if errs != 1 {
			t.Errorf("%d errors", errs)
		}
	}
}

func TestOutstanding_CountsWhatWaitsOrRuns(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		sessions := New(rdb, session.Shards{})
		if all, err := sessions.Outstanding(t.Context()); err != nil || all != 0 {
			t.Errorf("%d of nothing, %v", all, err)
		}
		enqueue(t, rdb, "default:a", "default:b", "shop:a", "crm:a", "shop:archived")
		archive(t, rdb, "shop:archived")
		if all, err := sessions.Outstanding(t.Context()); err != nil || all != 4 {
			t.Errorf("%d of all, %v", all, err)
		}
		of, err := sessions.OutstandingOf(t.Context(), []string{"default", "shop", "bank"})
		if err != nil || fmt.Sprint(of) != "map[bank:0 default:2 shop:1]" {
			t.Errorf("%v, %v", of, err)
		}
		names := []session.Name{named(t, "default:a"), named(t, "shop:archived"), named(t, "shop:b")}
		if known, err := sessions.Known(t.Context(), names); err != nil || known != 2 {
			t.Errorf("%d are known, %v", known, err)
		}
	})
}
