package outcome

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func listed(ctx context.Context, t *testing.T, s *Store, account string) (ids []string) {
	t.Helper()
	for entry, err := range s.List(ctx, account) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.HasSealed() || entry.Err == nil && entry.State == None {
			t.Errorf("%+v", entry)
		}
		ids = append(ids, entry.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids) // Redis may name a key twice
}

func TestList_HoldsEveryRecordOfAnAccount(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		var want []string
		for i := range scanPage + 20 {
			session := Session{ID: fmt.Sprintf("default:a%04d", i)}
			if _, err := s.Follow(ctx, session, "a", Evidence{}); err != nil {
				t.Fatal(err)
			}
			want = append(want, session.ID)
		}
		must(t)(s.Seal(ctx, Session{ID: want[0]}, result, "a", claimTime))
		must(t)(s.Seal(ctx, Session{ID: "shop:b"}, result, "a", claimTime))
		must(t)(s.GiveUp(ctx, Session{ID: "shop:b"}, "a", "HTTP 500", nil))
		if got := listed(ctx, t, s, "default"); !slices.Equal(got, want) {
			t.Errorf("%d of the account, want %d", len(got), len(want))
		}
		if got := listed(ctx, t, s, "shop"); !slices.Equal(got, []string{"shop:b"}) {
			t.Errorf("of the other account: %q", got)
		}
		if got := listed(ctx, t, s, ""); !slices.Equal(got, append(want, "shop:b")) {
			t.Errorf("%d of all", len(got))
		}
		if got := listed(ctx, t, s, "sho"); got != nil {
			t.Errorf("of no account: %q", got)
		}
	})
}

func TestPeek_ReadsRecordsWithoutTheirResults(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		follow(ctx, t, s, "a")
		sealed := must(t)(s.Seal(ctx, session, result, "a.1", claimTime))
		s.cfg.Redis.HSet(ctx, "identwatch:"+"default:later", "v", 2, "state", "SECRET")
		entries, err := s.Peek(ctx, session.ID, "default:none", "default:later")
		if err != nil || len(entries) != 3 {
			t.Fatal(entries, err)
		}
		first := entries[0]
		if first.ID != session.ID || first.State != Sealed || first.Type != result.Type || !first.Final.Equal(sealed.Final) || first.HasSealed() || first.Err != nil {
			t.Errorf("sealed: %+v", first)
		}
		if none := entries[1]; none.State != None || none.Err != nil {
			t.Errorf("none: %+v", none)
		}
		if later := entries[2]; !errors.Is(later.Err, ErrRecordVersion) || later.State != None {
			t.Errorf("later: %+v", later)
		}
		without, err := s.Unrecorded(ctx, []string{"default:none", session.ID, "shop:token-1"})
		if err != nil || !slices.Equal(without, []string{"default:none", "shop:token-1"}) {
			t.Errorf("without a record: %q, %v", without, err)
		}
	})
}
