package service

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/config/configtest"
	"github.com/identwatch/identwatch/internal/settings"
)

// TestTokens_TakeAChangedFile reads in virtual time.
func TestTokens_TakeAChangedFile(t *testing.T) {
	variables := configtest.Secrets()
	variables["REDIS_URL"] = "redis://127.0.0.1:1"
	configtest.Set(t, variables)
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) { // as operators do: a new file takes the old one's place
		if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "")
	t.Setenv("MARKSIGN_ACCESS_TOKEN_FILE", path)
	cfg, err := config.LoadServe(settings.Checks)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := settings.NewAccounts(cfg, settings.ClosedTo(cfg))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var logs bytes.Buffer
		watching := newTokens(accounts, func(account, token string) error {
			got = append(got, account+" "+token)
			return nil
		}, slog.New(slog.NewTextHandler(&logs, nil)))
		go watching.watch(t.Context(), nil)
		for _, text := range []string{"first", "second\n", "", "two words", "two words", "third", "third"} {
			write(text)
			time.Sleep(tokenPause + time.Second)
			synctest.Wait()
		}
		if want := "default second, default third"; strings.Join(got, ", ") != want {
			t.Errorf("got %q, want %s", got, want)
		}
		if n := strings.Count(logs.String(), "cannot be read again"); n != 2 {
			t.Errorf("%d complaints, want one of the empty file and one of the two words:\n%s", n, logs.String())
		}
		if strings.Contains(logs.String(), "second") || strings.Contains(logs.String(), "two words") {
			t.Errorf("the log shows a token:\n%s", logs.String())
		}
	})
}
