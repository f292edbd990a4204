package config

import (
	"cmp"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/session"
)

// defaultAccount is the one account of a service that names none.
const defaultAccount = "default"

// Account is one MarkSign account, with the application that it is of.
type Account struct {
	// Name is 1 to 32 of a-z, 0-9, '-' and '_', a letter first.
	Name string

	// MarkSignURL is an absolute http or https URL without user, query,
	// fragment and trailing slash. It is http only if the host is this machine,
	// or Serve.MarkSignAllowHTTP is set.
	MarkSignURL string
	// MarkSignAccessToken is not empty, and has neither white space nor control
	// characters. See [Account.ReadAccessToken].
	MarkSignAccessToken Secret[string]
	// MarkSignLocale is "lt" or "en".
	MarkSignLocale string

	// CallbackURL is the webhook of sessions that name none; "" is none. It is
	// http only where Serve.CallbackAllowHTTP is set.
	CallbackURL string
	// CallbackHosts are hosts, and "*." with a domain; none allows every host.
	CallbackHosts []string
	// WebhookSecrets are the texts as configured, each base64 of 24 to 64 bytes
	// with or without "whsec_" in front; none where only WebhookSigningKey signs.
	WebhookSecrets Secret[[]string]
	// WebhookSigningKey is "whsk_" and base64 of 32 or 64 bytes, or "" where
	// only WebhookSecrets sign. One of the two is always there.
	WebhookSigningKey Secret[string]

	// APIKeys are SHA-256 sums of API keys, none twice in all accounts; empty
	// where the account has no HTTP API.
	APIKeys Secret[[][32]byte]

	// TaskKeys are the texts as configured, each "task_" and base64 of 32 bytes;
	// the first signs, any verifies. None: payloads of tasks are not signed.
	TaskKeys Secret[[]string]

	accessTokenFile string
}

// ReadAccessToken reads the access token again where a file holds it, and else
// returns false: a process's environment does not change. The error says what is
// wrong with the file, and shows neither path nor token.
func (a Account) ReadAccessToken() (token Secret[string], hasFile bool, err error) {
	if a.accessTokenFile == "" {
		return Secret[string]{}, false, nil
	}
	text, err := readSecretFile(a.accessTokenFile)
	if err == nil {
		text, err = checkToken(text)
	}
	return NewSecret(text), true, err
}

// readAccounts reads what is of each account.
func (in *input) readAccounts(cfg *Serve, checks []AccountCheck) {
	names := in.accountNames()
	if in.faulty("ACCOUNTS") {
		return
	}
	if names == nil {
		cfg.Accounts = []Account{in.readAccount(cfg, defaultAccount, checks)}
		return
	}
	in.refuseCommonSecrets(names)
	for _, name := range names {
		cfg.Accounts = append(cfg.Accounts, in.ofAccount(name).readAccount(cfg, name, checks))
	}
}

func (in *input) readAccount(cfg *Serve, name string, checks []AccountCheck) Account {
	token := in.variables["MARKSIGN_ACCESS_TOKEN"]
	a := Account{
		Name:                name,
		MarkSignURL:         parsed(in, "MARKSIGN_URL", parseBaseURL),
		MarkSignAccessToken: secret(in, "MARKSIGN_ACCESS_TOKEN", checkToken),
		MarkSignLocale:      in.choice("MARKSIGN_LOCALE"),
		CallbackURL:         parsed(in, "CALLBACK_URL", parseCallbackURL),
		CallbackHosts:       parsed(in, "CALLBACK_HOSTS", shown(parseHosts)),
		WebhookSecrets:      secret(in, "WEBHOOK_SECRETS", parseWebhookSecrets),
		WebhookSigningKey:   secret(in, "WEBHOOK_SIGNING_KEY", checkSigningKey),
		APIKeys:             secret(in, "API_KEYS", parseAPIKeys),
		TaskKeys:            secret(in, "TASK_KEYS", parseTaskKeys),
		accessTokenFile:     os.Getenv(token.fileName()),
	}
	in.checkAccount(cfg, a)
	for _, c := range checks {
		in.ask(c.Names, func() error { return c.Find(*cfg, a) })
	}
	return a
}

// checkAccount finds what no variable of an account shows by itself.
func (in *input) checkAccount(cfg *Serve, a Account) {
	if s := in.variables["WEBHOOK_SECRETS"]; !in.given("WEBHOOK_SECRETS") && !in.given("WEBHOOK_SIGNING_KEY") {
		in.fault("WEBHOOK_SECRETS", "is required "+s.Required+": "+s.Help)
	}
	if strings.HasPrefix(a.MarkSignURL, "http:") && !address.IsLoopback(address.HostOf(a.MarkSignURL)) && !cfg.MarkSignAllowHTTP && !in.faulty("MARKSIGN_ALLOW_HTTP") {
		in.fault("MARKSIGN_URL", "is plain http, which would send the access token and identities in the clear: write an https URL, or set MARKSIGN_ALLOW_HTTP=true")
	}
	if strings.HasPrefix(a.CallbackURL, "http:") && !cfg.CallbackAllowHTTP && !in.faulty("CALLBACK_ALLOW_HTTP") {
		in.fault("CALLBACK_URL", "is plain http: write an https URL, or set CALLBACK_ALLOW_HTTP=true")
	}
	for _, other := range cfg.Accounts {
		others := other.APIKeys.Reveal()
		if slices.ContainsFunc(a.APIKeys.Reveal(), func(key [32]byte) bool { return slices.Contains(others, key) }) {
			in.fault("API_KEYS", "has a key of account "+other.Name+" too: make one for each with `identwatch secret api`")
		}
		secrets := other.WebhookSecrets.Reveal()
		if slices.ContainsFunc(a.WebhookSecrets.Reveal(), func(secret string) bool { return slices.Contains(secrets, secret) }) {
			in.fault("WEBHOOK_SECRETS", "has a secret of account "+other.Name+" too: make one for each with `identwatch secret webhook`")
		}
		taskKeys := other.TaskKeys.Reveal()
		if slices.ContainsFunc(a.TaskKeys.Reveal(), func(key string) bool { return slices.Contains(taskKeys, key) }) {
			in.fault("TASK_KEYS", "has a key of account "+other.Name+" too: make one for each with `identwatch secret task`")
		}
	}
}

// refuseCommonSecrets notes secrets that no account is named for: with one
// secret for all, one account's application could pass for another's.
func (in *input) refuseCommonSecrets(names []string) {
	for _, s := range Settings() {
		if !s.OfAccount || !s.Secret {
			continue
		}
		for _, name := range []string{s.Name, s.fileName()} {
			if !isBlank(os.Getenv(name)) {
				in.fault(name, "is set, and ACCOUNTS too: say whose it is, as in "+prefix(names[0])+"_"+name)
			}
		}
	}
}

// eachAccount yields the accounts of a list of names with the input of each;
// without names there is one, "default", whose variables have no name in front.
func (in *input) eachAccount(names []string) iter.Seq2[string, *input] {
	return func(yield func(string, *input) bool) {
		if names == nil {
			yield(defaultAccount, in)
			return
		}
		for _, name := range names {
			if !yield(name, in.ofAccount(name)) {
				return
			}
		}
	}
}

// ofAccount is the input with the variables of one account. What is no secret
// may be common to all: the variable without a name in front.
func (in *input) ofAccount(account string) *input {
	own := &input{variables: readVariables(prefix(account)), faults: in.faults}
	for name, v := range own.variables {
		if !v.OfAccount {
			continue
		}
		v.Name = prefix(account) + "_" + name
		v.Required = strings.Replace(v.Required, "`", "`"+prefix(account)+"_", 1) // "unless `NAME` is set"
		switch {
		case v.Secret:
			v.text = os.Getenv(v.Name) // none is common to all accounts
		case isBlank(v.text):
			v.text = os.Getenv(name) // blank is not set
		}
		own.variables[name] = v
	}
	return own
}

// prefix stands before the variables of an account, and an underscore after it.
func prefix(account string) string {
	return strings.ToUpper(strings.ReplaceAll(account, "-", "_"))
}

// parseAccounts takes a list of names.
func parseAccounts(text string) ([]string, error) {
	names, err := parseList(text, func(item string) (string, error) {
		if problem := session.AccountProblem(item); problem != "" {
			return "", errors.New("the name " + problem)
		}
		return item, nil
	})
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		same := func(other string) bool { return prefix(other) == prefix(name) }
		if first := slices.IndexFunc(names, same); first < i {
			return nil, errors.New("a list in which " + name + " and " + names[first] + " would read the same variables: name each account once")
		}
	}
	return names, nil
}

func (in *input) accountNames() []string { return parsed(in, "ACCOUNTS", shown(parseAccounts)) }

// ChooseAccount returns the account that is meant by a name, which may be empty,
// among the names of ACCOUNTS, of which there may be none: then any name is
// taken, and an empty one is "default". The error says what to write.
func ChooseAccount(name string, accounts []string) (string, error) {
	switch {
	case len(accounts) == 0:
		return cmp.Or(name, defaultAccount), nil
	case name == "" && len(accounts) == 1:
		return accounts[0], nil
	case name == "":
		return "", errors.New("ACCOUNTS names several: say which, " + strings.Join(accounts, " or "))
	case !slices.Contains(accounts, name):
		return "", errors.New("it is not among ACCOUNTS: write " + strings.Join(accounts, " or "))
	}
	return name, nil
}
