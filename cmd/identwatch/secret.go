package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/screen"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// assignment is a line for an .env file.
type assignment struct{ name, value string }

// kind is something that the command can make.
type kind struct {
	name  string
	about string              // whom it is for, and what to do with it
	new   func() []assignment // the first is the secret itself
}

var kinds = []kind{
	{
		name:  "webhook",
		about: "WEBHOOK_SECRETS: the same for the service and for those that receive its events.",
		new:   func() []assignment { return []assignment{{"WEBHOOK_SECRETS", webhook.NewSecret().Encode()}} },
	},
	{
		name: "signing",
		about: "WEBHOOK_SIGNING_KEY: for the service alone. WEBHOOK_PUBLIC_KEY is no secret: it is for those that\n" +
			"receive its events, and identwatch itself does not read it.",
		new: func() []assignment {
			key := webhook.NewSigningKey()
			return []assignment{{"WEBHOOK_SIGNING_KEY", key.Encode()}, {"WEBHOOK_PUBLIC_KEY", key.Public().String()}}
		},
	},
	{
		name:  "outcome",
		about: "OUTCOME_KEYS: for the service alone. Keep it: without it nobody can open the results that wait in Redis.",
		new:   func() []assignment { return []assignment{{"OUTCOME_KEYS", newOutcomeKey()}} },
	},
	{
		name: "task",
		about: "TASK_KEYS: for the service, and for applications that enqueue by themselves and not over the HTTP API\n" +
			"(tasks.ClientConfig.PayloadKey). Give it to them first, and to the service once all of them sign.",
		new: func() []assignment { return []assignment{{"TASK_KEYS", tasks.NewPayloadKey().Encode()}} },
	},
	{
		name:  "redis",
		about: "REDIS_PASSWORD: for the Redis of docker-compose.yml, and in REDIS_URL. identwatch itself does not read it.",
		new:   func() []assignment { return []assignment{{"REDIS_PASSWORD", newRedisPassword()}} },
	},
	{
		name: "api",
		about: "API_KEY: for an application that uses the HTTP API, alone. API_KEYS is no secret: the service knows the key\n" +
			"by it, and cannot be asked anything with it.",
		new: func() []assignment {
			key := api.NewKey()
			hash := api.HashKey(key)
			return []assignment{{"API_KEY", key}, {"API_KEYS", "sha256:" + hex.EncodeToString(hash[:])}}
		},
	},
	{
		name:  "monitor",
		about: "MONITOR_PASSWORD: for the service, and for the operators who look at /monitor/.",
		new:   func() []assignment { return []assignment{{"MONITOR_PASSWORD", rand.Text()}} },
	},
}

// everyKind stands for each of them.
const everyKind = "all"

func newOutcomeKey() string {
	key := make([]byte, outcome.KeySize)
	_, _ = rand.Read(key) // it never fails: see crypto/rand
	return base64.StdEncoding.EncodeToString(key)
}

// newRedisPassword needs no escape in a URL, a shell or Redis's configuration.
func newRedisPassword() string {
	password := make([]byte, 32)
	_, _ = rand.Read(password) // it never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(password)
}

func newSecret() *cobra.Command {
	var bare bool
	cmd := &cobra.Command{
		Use:   "secret {webhook | signing | outcome | task | redis | api | monitor | all}...",
		Short: "Make new secrets and keys for the configuration",
		Long: `secret makes new secrets and prints them as lines for an .env file:

  webhook   WEBHOOK_SECRETS, which events are signed with and verified with
  signing   WEBHOOK_SIGNING_KEY, which events are signed with, and the public
            key that receivers verify with, so that they need no secret
  outcome   OUTCOME_KEYS, which results are sealed with while they are in Redis
  task      TASK_KEYS, which those sign with who put sessions into Redis
  redis     REDIS_PASSWORD, of the Redis in docker-compose.yml
  api       API_KEY, which an application uses the HTTP API with, and API_KEYS,
            the SHA-256 of it, which the service is configured with
  monitor   MONITOR_PASSWORD, which /monitor/ asks operators for
  all       each of them

They are random, and kept nowhere: what is not saved is gone. It makes the first
secret and those for a rotation alike; for that, put the value into the list that
is there, with a comma: beside the old one in WEBHOOK_SECRETS, in front of it in
OUTCOME_KEYS, behind it in TASK_KEYS until every application signs with it.`,
		Example: `  identwatch secret webhook outcome >> .env
  identwatch secret outcome --bare > /run/secrets/outcome
  identwatch secret signing`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !bare {
				return cmd.Help()
			}
			wanted, err := choose(args)
			if err != nil {
				return err
			}
			if bare && len(wanted) != 1 {
				return usagef("--bare prints one secret: name one")
			}
			return makeSecrets(cmd.OutOrStdout(), cmd.ErrOrStderr(), wanted, bare)
		},
	}
	for _, k := range kinds {
		cmd.ValidArgs = append(cmd.ValidArgs, k.name)
	}
	cmd.ValidArgs = append(cmd.ValidArgs, everyKind)
	cmd.Flags().BoolVar(&bare, "bare", false, "print the secret alone, for a file that a variable with _FILE names")
	return cmd
}

// choose returns the kinds that are named. None may be named twice, for of two
// lines with the same name the second would win unseen.
func choose(names []string) ([]kind, error) {
	if len(names) == 1 && names[0] == everyKind {
		return kinds, nil
	}
	var wanted []kind
	taken := make(map[string]bool)
	for _, name := range names {
		k, err := find(name)
		if err != nil {
			return nil, err
		}
		if taken[name] {
			return nil, usagef("%s is named twice", name)
		}
		taken[name] = true
		wanted = append(wanted, k)
	}
	return wanted, nil
}

func find(name string) (kind, error) {
	known := make([]string, len(kinds))
	for i, k := range kinds {
		if k.name == name {
			return k, nil
		}
		known[i] = k.name
	}
	if name == everyKind {
		return kind{}, usagef("%s stands alone", name)
	}
	return kind{}, usagef("there is no secret %.20q: name %s or %s", name, strings.Join(known, ", "), everyKind)
}

// makeSecrets writes the secrets, and to somebody who watches what they are for.
func makeSecrets(out, watcher io.Writer, wanted []kind, bare bool) error {
	watched := screen.IsTerminal(watcher)
	for _, k := range wanted {
		var text strings.Builder
		for _, line := range k.new() {
			if bare {
				text.WriteString(line.value + "\n")
				break
			}
			text.WriteString(line.name + "=" + line.value + "\n")
		}
		if _, err := io.WriteString(out, text.String()); err != nil {
			return err
		}
		if watched {
			_, _ = fmt.Fprintln(watcher, k.about)
		}
	}
	return nil
}
