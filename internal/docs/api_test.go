package docs

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// apiPage is docs/api.md.
func apiPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// apiBlock returns the block of docs/api.md that has a text in it.
func apiBlock(t *testing.T, language, text string) string {
	t.Helper()
	for _, m := range fence.FindAllStringSubmatch(apiPage(t), -1) {
		if m[1] == language && strings.Contains(m[2], text) {
			return m[2]
		}
	}
	t.Fatalf("no %s block of docs/api.md has %q", language, text)
	return ""
}

// acknowledging is a receiver that takes everything.
type acknowledging struct{}

func (acknowledging) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

// anAPI serves the API on an embedded Redis and returns the environment of the
// examples.
func anAPI(t *testing.T) (env []string, rdb *redis.Client) {
	t.Helper()
	rdb, mini := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); mini.Close() })
	signer, err := webhook.NewSigner([]webhook.Secret{webhook.NewSecret()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer, Transport: acknowledging{}})
	if err != nil {
		t.Fatal(err)
	}
	key := api.NewKey()
	handler, err := api.New(api.Options{Redis: rdb, Accounts: []api.Account{{
		Name: tasks.DefaultAccount, Keys: [][32]byte{api.HashKey(key)}, CallbackURL: "https://shop.example/hook", Sender: sender,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return []string{"API_URL=" + server.URL, "API_KEY=" + key, "TOKEN=1c5cd62c"}, rdb
}

func TestAPIPrograms_HaveTheSessionFollowed(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]struct{ language, command string }{"enqueue.php": {"php", "php"}, "enqueue.mjs": {"js", "node"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := onPath(t, run.command)
			env, rdb := anAPI(t)
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(apiBlock(t, run.language, "// "+name)), 0o600); err != nil {
				t.Fatal(err)
			}
			enqueue := func(token string, more ...string) (string, error) {
				cmd := exec.Command(command, file, token)
				cmd.Env = append(append(os.Environ(), env...), more...)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			for range 2 {
				if out, err := enqueue("5d3a97f0"); err != nil || out != "followed\n" {
					t.Errorf("%v\n%s", err, out)
				}
			}
			if got := enqueued(t, rdb, "5d3a97f0"); got.Reference != "order-1842" || got.Method != tasks.SmartID || len(got.Checks) != 2 {
				t.Errorf("enqueued %+v", got)
			}
			if out, err := enqueue("a/b"); err == nil || !strings.Contains(out, "token") || !strings.Contains(out, "422") {
				t.Errorf("a bad token: %v\n%s", err, out)
			}
			if out, err := enqueue("8c41e2b7", "API_KEY=iwk_none"); err == nil || !strings.Contains(out, "401") {
				t.Errorf("a bad key: %v\n%s", err, out)
			}
		})
	}
}

func TestAPICommands_DoWhatThePageSays(t *testing.T) {
	t.Parallel()
	onPath(t, "curl")
	env, rdb := anAPI(t)
	if out := shell(t, t.TempDir(), apiBlock(t, "sh", "identwatch secret api")); !regexp.MustCompile(`^API_KEY=iwk_\S{43}\nAPI_KEYS=sha256:[0-9a-f]{64}\n$`).MatchString(out) {
		t.Errorf("the key: %s", out)
	}
	giveUp(t, rdb, "7be0c4d1")
	for _, step := range []struct{ block, want, token string }{
		{`/v1/sessions" \`, `"state":"waiting"`, ""},
		{"/v1/sessions:batch", `"enqueued":2,"duplicates":0,"invalid":0`, ""},
		{"-X DELETE", `"state":"cancelled"`, ""},
		{"/redeliver", `"state":"delivering"`, "7be0c4d1"},
		{"/v1/events:test", `"delivered":true,"http_status":204,"detail":"HTTP 204"`, ""},
	} {
		mine := env
		if step.token != "" {
			mine = append(mine[:2:2], "TOKEN="+step.token)
		}
		if out := shell(t, t.TempDir(), apiBlock(t, "sh", step.block), mine...); !strings.Contains(out, step.want) {
			t.Errorf("%s: %s", step.block, out)
		}
	}
	if got := enqueued(t, rdb, "8c41e2b7"); got.Method != tasks.MobileID {
		t.Errorf("of the batch: %+v", got)
	}
}

// giveUp leaves a session as a worker does that found no receiver.
func giveUp(t *testing.T, rdb *redis.Client, token string) {
	t.Helper()
	keyring, err := outcome.NewKeyring(make([]byte, outcome.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	store := outcome.NewStore(outcome.Config{
		Redis: rdb, Keyring: keyring, SessionTimeout: time.Hour, DeliveryWindow: time.Hour, RedeliveryWindow: time.Hour,
	})
	task, err := tasks.NewFollowTask(tasks.Session{Token: token, Method: tasks.SmartID}, tasks.DefaultRetention)
	if err != nil {
		t.Fatal(err)
	}
	ctx, session := context.Background(), outcome.Session{ID: "default:" + token, Retention: time.Hour}
	result := outcome.Result{Type: string(webhook.Refused), Reason: "refused", Time: time.Now(), Body: []byte("{}"), Instructions: new(outcome.Instructions)}
	sealed, err := store.Seal(ctx, session, result, "a worker", time.Minute)
	gaveUp, endErr := store.GiveUp(ctx, session, "a worker", "HTTP 410", task.Payload())
	if !sealed.Applied || !gaveUp.Applied || err != nil || endErr != nil {
		t.Fatal(sealed.Applied, err, gaveUp.Applied, endErr)
	}
}

// The table of problems has each code of the document, with its status.
func TestAPIPage_NamesEveryProblem(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	codes := document.Components.Schemas["Problem"].Properties["code"].Enum
	if len(codes) < 10 {
		t.Fatalf("the document has %d codes", len(codes))
	}
	page := apiPage(t)
	for _, code := range codes {
		if !regexp.MustCompile("(?m)^\\| \\d{3} \\| `" + code + "` \\| .+ \\| .+ \\|$").MatchString(page) {
			t.Errorf("docs/api.md does not tell of %s", code)
		}
	}
	for _, path := range []string{"/v1/openapi.json", "/v1/openapi.yaml", "/docs/", "/v1/events:test", "/v1/sessions:batch", "/redeliver"} {
		if !strings.Contains(page, path) {
			t.Errorf("docs/api.md does not tell of %s", path)
		}
	}
}

// What the page shows of the test event is what is posted.
func TestAPIPage_ShowsTheTestEvent(t *testing.T) {
	t.Parallel()
	event, err := webhook.Parse([]byte(apiBlock(t, "json", string(webhook.Test))))
	if err != nil {
		t.Fatal(err)
	}
	if want := webhook.NewTestEvent(event.Timestamp); mustMarshal(t, event) != mustMarshal(t, want) {
		t.Errorf("the page shows\n%s\nposted is\n%s", mustMarshal(t, event), mustMarshal(t, want))
	}
}

func mustMarshal(t *testing.T, e webhook.Event) string {
	t.Helper()
	text, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
