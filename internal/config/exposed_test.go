package config

import (
	"os"
	"slices"
	"testing"
)

func TestExposedFiles_AreThoseThatEverybodyCanRead(t *testing.T) {
	clearVariables(t)
	file := func(mode os.FileMode) string {
		path := writeFile(t, "a secret")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var want []string
	for _, s := range Settings() {
		if s.Secret {
			t.Setenv(s.fileName(), file(0o644))
			want = append(want, s.fileName())
		}
	}
	if got := ExposedFiles(); !slices.Equal(got, want) || len(got) < 6 {
		t.Errorf("got %v, want %v", got, want)
	}
	clearVariables(t)
	t.Setenv("OUTCOME_KEYS_FILE", file(0o600))
	t.Setenv("REDIS_URL_FILE", file(0o640))
	t.Setenv("MONITOR_PASSWORD_FILE", file(0o602))
	t.Setenv("API_KEYS_FILE", "/no/such/file")
	t.Setenv("SHOP_WEBHOOK_SECRETS_FILE", file(0o444))
	if got := ExposedFiles("shop", "crm"); !slices.Equal(got, []string{"SHOP_WEBHOOK_SECRETS_FILE", "MONITOR_PASSWORD_FILE"}) {
		t.Errorf("got %v", got)
	}
}
