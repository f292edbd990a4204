package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSettings_AgreeWithServe holds the table and the struct together: a
// variable for each field, under the field's name.
func TestSettings_AgreeWithServe(t *testing.T) {
	t.Parallel()
	serve, table := reflect.TypeFor[Serve](), reflect.TypeFor[environment]()
	for field := range table.Fields() {
		if _, found := ownerOf(field).FieldByName(field.Name); !found {
			t.Errorf("%s has no field in %v", field.Name, ownerOf(field))
		}
		if field.Type.Kind() != reflect.String {
			t.Errorf("%s is no string, so that filling it could fail", field.Name)
		}
		if got := strings.ReplaceAll(field.Tag.Get("envconfig"), "_", ""); got != strings.ToUpper(field.Name) {
			t.Errorf("%s reads the variable %s", field.Name, field.Tag.Get("envconfig"))
		}
	}
	for field := range serve.Fields() {
		if _, found := table.FieldByName(field.Name); !found && field.Name != "Pace" { // PollPace, parsed
			t.Errorf("Serve.%s has no variable", field.Name)
		}
	}
}

// ownerOf is the struct that has the variable's value.
func ownerOf(variable reflect.StructField) reflect.Type {
	if variable.Tag.Get("of") == "account" {
		return reflect.TypeFor[Account]()
	}
	return reflect.TypeFor[Serve]()
}

func TestSettings_AreComplete(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if s.Name == "" || s.Help == "" {
			t.Errorf("%+v lacks its name or help", s)
		}
		if s.Required == "yes" && s.Default != "" {
			t.Errorf("%s is required, and has a default", s.Name)
		}
		if strings.Count(s.Help, "`")%2 != 0 || strings.Contains(s.Help, "|") {
			t.Errorf("%s: the help breaks a Markdown table: %s", s.Name, s.Help)
		}
		if secret := reflectedSecret(t, s.Name); secret != s.Secret {
			t.Errorf("%s: Secret is %t in the table, and %t in Serve", s.Name, s.Secret, secret)
		}
	}
}

// reflectedSecret says whether the variable's field of Serve is a Secret.
func reflectedSecret(t *testing.T, name string) bool {
	t.Helper()
	for field := range reflect.TypeFor[environment]().Fields() {
		if field.Tag.Get("envconfig") == name {
			target, _ := ownerOf(field).FieldByName(field.Name)
			return strings.HasPrefix(target.Type.Name(), "Secret[")
		}
	}
	t.Fatalf("no field reads %s", name)
	return false
}

func TestMarkdown_HasARowForEachSetting(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSuffix(Markdown(), "\n"), "\n")
	if len(rows) != len(Settings())+2 {
		t.Fatalf("got %d rows", len(rows))
	}
	for _, row := range rows {
		if strings.Count(row, "|") != 4 {
			t.Errorf("got row %q, want three columns", row)
		}
	}
	for _, want := range []string{
		"| `REDIS_URL` or `REDIS_URL_FILE` | required | where Redis is",
		"| `MARKSIGN_LOCALE` | `lt` | language of the messages of MarkSign (lt or en); of each account |",
		"| `CALLBACK_URL` | none | ",
		"| `WEBHOOK_SECRETS` or `WEBHOOK_SECRETS_FILE` | required unless `WEBHOOK_SIGNING_KEY` is set | ",
		"| `LEASE` | `10s` | how long the sessions of a dead process wait for another (3s to 5m) |",
	} {
		if !slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, want) }) {
			t.Errorf("no row begins\n%s", want)
		}
	}
}

func TestHelp_NamesEachSetting(t *testing.T) {
	t.Parallel()
	help := Help()
	for _, want := range []string{
		"  REDIS_URL or REDIS_URL_FILE (required)\n        where Redis is, such as redis://localhost:6379/0;",
		"  WEBHOOK_SECRETS or WEBHOOK_SECRETS_FILE (required unless WEBHOOK_SIGNING_KEY is set; of each account)\n",
		"  CALLBACK_URL (of each account)\n        webhook to post to where a session names none\n",
		"  LOG_FORMAT (default json; json or text)\n        form of a log line\n",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("the help lacks\n%s", want)
		}
	}
	if lines := strings.Count(help, "\n"); lines != 2*len(Settings()) {
		t.Errorf("got %d lines for %d settings", lines, len(Settings()))
	}
}

func TestHelp_TellsOfTheNamedSettingsAlone(t *testing.T) {
	t.Parallel()
	help := Help("LISTEN", "REDIS_URL")
	if !strings.HasPrefix(help, "  REDIS_URL ") || !strings.Contains(help, "\n  LISTEN ") || strings.Count(help, "\n") != 4 {
		t.Errorf("got\n%s", help)
	}
}
