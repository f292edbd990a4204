package session

import (
	"errors"
	"testing"
)

func TestName_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, want := range []struct{ account, token, id string }{
		{"", "a", "default:a"}, {"shop", "1c5cd62c-bbf7", "shop:1c5cd62c-bbf7"},
	} {
		name, err := NewName(want.account, want.token)
		if err != nil || name.ID() != want.id || name != (Job{Account: want.account, Token: want.token}).Name() {
			t.Errorf("got %q, %v, want %q", name.ID(), err, want.id)
		}
		if again, err := ParseID(name.ID()); err != nil || again != name || again.Account() == "" || again.Token() != want.token {
			t.Errorf("read again: %+v, %v", again, err)
		}
	}
}

// What is refused may lead to another key of Redis.
func TestName_RefusesWhatCannotStandInAKey(t *testing.T) {
	t.Parallel()
	for _, bad := range [][2]string{{"", ""}, {"", "a b"}, {"", "*"}, {"shop*", "a"}, {"shop:a", "b"}, {"", "a:sealed"}, {"Shop", "a"}, {"", ".."}} {
		if name, err := NewName(bad[0], bad[1]); !isValidation(err) || name != (Name{}) {
			t.Errorf("%q: %+v, %v", bad, name, err)
		}
	}
	for _, bad := range []string{"", ":", "a", ":a", "shop:", "shop:a:b", "shop:a:sealed", "Shop:a", "shop:*"} {
		if name, err := ParseID(bad); !isValidation(err) || name != (Name{}) {
			t.Errorf("%q: %+v, %v", bad, name, err)
		}
	}
	invalid := new(ValidationError)
	if _, err := NewName("SHOP", "a:b"); !errors.As(err, &invalid) || len(invalid.Fields) != 2 {
		t.Errorf("two faults: %v", err)
	}
}

func isValidation(err error) bool {
	_, is := errors.AsType[*ValidationError](err)
	return is
}
