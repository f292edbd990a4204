package tasks

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// valid is a session that nothing is wrong with.
func valid() Session {
	return Session{
		Token: "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f", Method: SmartID, Locale: "en",
		CallbackURL: "https://shop.example/webhooks/identwatch", Reference: "order-1842",
		Checks: []Check{PEPs, Sanctions}, StartedAt: time.Date(2026, 11, 21, 20, 50, 41, 0, time.UTC),
		Account: "shop",
	}
}

// with returns a valid session with a change.
func with(change func(*Session)) Session {
	s := valid()
	change(&s)
	return s
}

// fields returns the names of the fields that an error of Validate is about.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*ValidationError](err)
	if !ok {
		t.Fatalf("got %T (%v), want a *ValidationError", err, err)
	}
	var names []string
	for _, f := range invalid.Fields {
		if f.Problem == "" {
			t.Errorf("%s is refused without a reason", f.Field)
		}
		names = append(names, f.Field)
	}
	return names
}

func TestValidate_ReportsEveryFieldAtOnce(t *testing.T) {
	t.Parallel()
	const marked = "MARKED"
	err := Session{
		Token: marked + "/", Method: marked, Locale: marked, CallbackURL: "ftp://" + marked, Reference: marked + "\n",
		Checks: []Check{marked}, StartedAt: time.Unix(0, 0), Account: marked,
	}.Validate()
	want := []string{"token", "method", "locale", "callback_url", "reference", "checks", "started_at", "account"}
	if got := fields(t, err); !slices.Equal(got, want) {
		t.Errorf("refused %q, want %q", got, want)
	}
	for _, field := range want {
		if !strings.Contains(err.Error(), field+" ") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
	if strings.Contains(err.Error(), marked) {
		t.Errorf("the error holds what was refused: %v", err)
	}
}

// TestSession_IsCarriedWhole: a field that a task does not carry would be lost.
func TestSession_IsCarriedWhole(t *testing.T) {
	t.Parallel()
	session, job := reflect.ValueOf(valid()), reflect.ValueOf(valid().job())
	for i := range session.NumField() {
		name := session.Type().Field(i).Name
		if got := job.FieldByName(name).Interface(); session.Field(i).IsZero() || !reflect.DeepEqual(got, session.Field(i).Interface()) {
			t.Errorf("%s: carries %v of %v", name, got, session.Field(i))
		}
	}
}
