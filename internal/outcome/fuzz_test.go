package outcome

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
)

// FuzzOpen: nothing opens but what was sealed, and under its own name.
func FuzzOpen(f *testing.F) {
	k := ring(f, testKey)
	f.Add("identwatch:a", k.seal("identwatch:a", []byte("secret")))
	f.Add("identwatch:b", k.seal("identwatch:a", []byte("secret")))
	f.Add("identwatch:a", ring(f, otherKey).seal("identwatch:a", []byte("secret")))
	f.Add("", []byte{sealVersion})
	f.Fuzz(func(t *testing.T, record string, sealed []byte) {
		got, err := k.open(record, sealed)
		if err == nil && (string(got) != "secret" || record != "identwatch:a") {
			t.Errorf("opened %q of %q from bytes that were never sealed", got, record)
		}
		sealErrors := []error{ErrSealMissing, ErrSealTruncated, ErrSealVersion, ErrSealUnknownKey, ErrSealBroken}
		if err != nil && (got != nil || !isOneOf(err, sealErrors)) {
			t.Errorf("opened %q, error %v", got, err)
		}
	})
}

func isOneOf(err error, known []error) bool {
	for _, k := range known {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// FuzzSeal: what is sealed opens as it was, shows nothing, and does not open once
// a byte of it is changed, cut or added, or under another name.
func FuzzSeal(f *testing.F) {
	k, rotated := ring(f, testKey), ring(f, otherKey, testKey)
	f.Add("identwatch:a", "identwatch:b", []byte(`{"person":"JONAS MARKED"}`), uint(3), byte(1))
	f.Add("", "x", []byte{}, uint(0), byte(0xff))
	f.Add("identwatch:a", "identwatch:a:sealed", []byte("x"), uint(1000), byte(0x80))
	f.Fuzz(func(t *testing.T, record, other string, body []byte, place uint, change byte) {
		sealed := k.seal(record, body)
		for _, opener := range []*Keyring{k, rotated} {
			if got, err := opener.open(record, sealed); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("opened %q, %v", got, err)
			}
		}
		if len(body) > 8 && bytes.Contains(sealed, body) {
			t.Fatal("the sealed result shows its content")
		}
		if other != record {
			if got, err := k.open(other, sealed); err == nil {
				t.Fatalf("opened %q under another name", got)
			}
		}
		at := place % uint(len(sealed))
		broken := [][]byte{sealed[:at], append(bytes.Clone(sealed), change)}
		if change != 0 {
			flipped := bytes.Clone(sealed)
			flipped[at] ^= change
			broken = append(broken, flipped)
		}
		for _, b := range broken {
			if got, err := k.open(record, b); err == nil {
				t.Fatalf("opened %q from a seal that was changed", got)
			}
		}
	})
}

// FuzzDecode: an answer of any shape and any fields is read or refused.
func FuzzDecode(f *testing.F) {
	f.Add(int64(1), "1700000000000", "v\x001\x00state\x00following\x00started\x001700000000000\x00polls\x003", byte(0))
	f.Add(int64(0), "-1", "v\x002\x00state", byte(0))
	f.Add(int64(2), "99999999999999999999", "v\x001\x00claim\x009223372036854775807\x00claimant\x00a\x00polls\x00-1", byte(0))
	f.Add(int64(1), "", "", byte(3))
	f.Fuzz(func(t *testing.T, did int64, now, fields string, misshape byte) {
		var pairs []any
		sent := map[string]string{}
		if fields != "" {
			parts := strings.Split(fields, "\x00")
			for i, part := range parts {
				pairs = append(pairs, part)
				if i%2 == 1 {
					sent[parts[i-1]] = part
				}
			}
		}
		reply := []any{did, now, pairs, int64(6), "sealed"}
		wrong := misshape%9 != 0
		switch {
		case misshape%9 < 6 && wrong:
			reply[misshape%9-1] = nil
		case misshape%9 == 6:
			reply = reply[:4]
		case misshape%9 == 7:
			reply = append(reply, "more")
		case misshape%9 == 8:
			reply[2] = map[any]any{"v": "1"}
		}
		change, err := decode(reply)
		done, r := change.Applied, change.Record
		_ = r.ClaimLeft("x")
		readable := !wrong && (len(pairs) == 0 || sent["v"] == "1")
		if (err == nil) != readable || err != nil && (done || r.State != None) {
			t.Errorf("%v, %q: %v", misshape%9, fields, err)
		}
		if err == nil && (done != (did == 1) || len(pairs) > 1 && r.State != State(sent["state"])) {
			t.Errorf("did %v, state %q of %q", done, r.State, fields)
		}
		if err != nil && len(sent["v"]) > 8 && strings.Contains(err.Error(), sent["v"]) {
			t.Errorf("the error quotes the record: %v", err)
		}
	})
}

// FuzzFields: whatever a record holds, no method panics, none posts or removes
// where the state does not ask for it, and an error shows no sealed result.
func FuzzFields(f *testing.F) {
	for _, seed := range [][5]string{
		{"following", "", "", "", ""},
		{"sealed", "a", "1700000000000", "86400000", ""},
		{"handed", "other", "99999999999999", "x", "handed"},
		{"sealed", "other", "", "", ""},
		{"delivered", "", "nan", "-1", "removed"},
		{"given_up", "", "0x10", "1e300", "unknown"},
		{"redelivering", "a", "1700000000000", "", "removed"},
		{"new", "", "inf", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	rdb, m := redistest.Embedded()
	f.Cleanup(func() { rdb.Close(); m.Close() })
	f.Fuzz(func(t *testing.T, state, claimant, claim, retention, removal string) {
		ctx := context.Background()
		s := newStore(t, rdb)
		set := func() {
			m.FlushAll()
			rdb.HSet(ctx, recordKey(session), "v", 1, "state", state, "claimant", claimant, "claim", claim, "retention", retention, "removal", removal)
			rdb.Set(ctx, sealedKey(session), "SEALED-MARK", time.Hour)
		}
		for name, call := range everyMethod(ctx, s) {
			set()
			change, err := call()
			if err != nil && (strings.Contains(err.Error(), "SEALED-MARK") || change.Applied || change.Record.State != None) {
				t.Errorf("%s of state %q: applied %v, %v", name, state, change.Applied, err)
			}
			before := State(state)
			posts, removes := before.AsksPost(), before.MayRemove()
			switch {
			case !change.Applied:
			case strings.HasPrefix(name, "post") && !posts && (name != "post: give up" || before != GivenUp):
				t.Errorf("%s was done in state %q", name, state)
			case strings.HasPrefix(name, "remove") && !removes:
				t.Errorf("%s was done in state %q", name, state)
			}
		}
	})
}

// everyMethod are the store's methods that change a record, by a claimant "a".
func everyMethod(ctx context.Context, s *Store) map[string]func() (Change, error) {
	return map[string]func() (Change, error){
		"post: claim":     func() (Change, error) { return s.Claim(ctx, session, "a", claimTime) },
		"post: fail":      func() (Change, error) { return s.Fail(ctx, session, "a", "why") },
		"post: hand over": func() (Change, error) { return s.HandOver(ctx, session, "a", "why") },
		"post: give up":   func() (Change, error) { return s.GiveUp(ctx, session, "a", "why", []byte("task")) },
		"seal":            func() (Change, error) { return s.Seal(ctx, session, result, "a", claimTime) },
		"post: reseal":    func() (Change, error) { return s.Reseal(ctx, session, result, "a") },
		"redeliver":       func() (Change, error) { return s.Redeliver(ctx, session) },
		"seal handed":     func() (Change, error) { return s.SealHanded(ctx, session, result, "why") },
		"deliver":         func() (Change, error) { return s.Deliver(ctx, session, result) },
		"cancel":          func() (Change, error) { return s.Cancel(ctx, session, RemovalHanded) },
		"settle":          func() (Change, error) { return s.Settle(ctx, session) },
		"remove: note":    func() (Change, error) { return s.Removing(ctx, session, 0) },
		"remove: fail": func() (Change, error) {
			return s.FailRemoval(ctx, session, FailedRemoval{Why: "why", Sent: true})
		},
		"remove: end": func() (Change, error) { return s.EndRemoval(ctx, session, Removed) },
		"follow": func() (Change, error) {
			r, err := s.Follow(ctx, session, "a", Evidence{})
			return Change{err == nil, r}, err
		},
		"take over": func() (Change, error) {
			r, err := s.Follow(ctx, session, "a", told(ctx, s))
			return Change{err == nil, r}, err
		},
		"keep": func() (Change, error) {
			r, err := s.Keep(ctx, session)
			return Change{err == nil, r}, err
		},
	}
}
