// Package config owns the environment of identwatch: which variables there are,
// their defaults and ranges, and how their text becomes typed settings.
//
// The loaders read the environment once, check it as a whole, and report every
// fault in one [Faults], by variable name and with what to do about it. A value
// that may be secret is in no report, and the settings print it as [redacted].
//
// The package never acts on a setting: it opens nothing but the files that
// NAME_FILE variables name, and dials nobody. Only the commands import it.
//
// Read config.go and account.go (what there is to load), settings.go (the variables), input.go and parse.go (how they
// are read), check.go (what only callers can judge), faults.go, then address.go, keys.go, pace.go and password.go (one
// kind of value each), secret.go, answer.go and inspect.go (what smaller commands load), help.go, misspelt.go and
// exposed.go (what users are told).
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Serve is what `identwatch serve` runs on. [LoadServe] returns it checked as a
// whole, so that every field is within the range its comment gives.
type Serve struct {
	// RedisURL has the scheme redis, rediss, redis-socket, redis-sentinel,
	// rediss-sentinel, redis-cluster or rediss-cluster. Only the scheme is checked here.
	RedisURL Secret[string]
	// Shards is 1 to 256, or 0 if SHARDS is not set.
	Shards int

	// Accounts are one or more, in the order of ACCOUNTS, each of another name.
	// Without ACCOUNTS there is one, named "default".
	Accounts []Account

	// MarkSignAllowHTTP allows a MarkSignURL with http that is not this machine's.
	MarkSignAllowHTTP bool

	// CallbackAllowHTTP allows callbacks over plain http.
	CallbackAllowHTTP bool
	// CallbackAllowNetworks opens networks that are not public; none are open by
	// default. No prefix has bits outside its mask.
	CallbackAllowNetworks []netip.Prefix

	// OutcomeKeys are one or more different keys of 32 bytes: the first seals,
	// all open.
	OutcomeKeys Secret[[][]byte]

	// Listen is host:port, the host empty for all addresses. Port 0 is any free one.
	Listen string

	// MonitorUser is the name that /monitor asks for, without colons and control
	// characters.
	MonitorUser string
	// MonitorPassword has 12 characters or more, or is "": then there is no /monitor.
	MonitorPassword Secret[string]
	// MonitorWrite lets /monitor change tasks and queues, and not only show them.
	MonitorWrite bool

	// PollPace is Pace as text, without white space.
	PollPace string
	// Pace has at least one step. The first is from 0, and each starts later
	// than the one before it.
	Pace []PaceStep
	// PollRate is the most polls per second of the process, up to 100,000;
	// 0 is no bound.
	PollRate float64
	// PollWorkers is the most polls in flight, 1 to 10,000.
	PollWorkers int
	// FollowLimit is the most sessions that the process follows, 1 to 1,000,000.
	FollowLimit int
	// Lease is 3 s to 5 min.
	Lease time.Duration
	// SessionTimeout is 10 s to 24 h, from the first run of a session.
	SessionTimeout time.Duration

	// DeliveryWindow is 1 min to 30 days.
	DeliveryWindow time.Duration
	// DeliveryTimeout bounds one attempt, 1 s to 2 min.
	DeliveryTimeout time.Duration
	// DeliveryConcurrency is the most posts in flight, 1 to 1,000.
	DeliveryConcurrency int
	// RedeliveryWindow is 0 to 90 days; 0 keeps no result once its delivery was
	// given up.
	RedeliveryWindow time.Duration

	// APIRate is the most requests per second of an account to the HTTP API of the
	// process, up to 100,000; 0 is no bound.
	APIRate float64
	// MaxSessions is the most sessions of an account that are not finished before the
	// HTTP API takes no more, up to 10,000,000; 0 is no bound.
	MaxSessions int

	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level
	// LogFormat is "json" or "text".
	LogFormat string
	// ShutdownTimeout is at least DeliveryTimeout and 2 s, so that a post in
	// flight can finish and be noted, and at most 10 min.
	ShutdownTimeout time.Duration
}

// Enqueue is what `identwatch enqueue` needs.
type Enqueue struct {
	// RedisURL and Shards are as in [Serve].
	RedisURL Secret[string]
	Shards   int
	// Accounts are the names of ACCOUNTS, none where it is not set. See [ChooseAccount].
	Accounts []string
	// TaskKeys are, for each of Accounts or for "default", those of [Account].
	TaskKeys map[string]Secret[[]string]
	// CallbackURLs and CallbackHosts are, for each of them too, those of [Account].
	CallbackURLs  map[string]string
	CallbackHosts map[string][]string
}

// Redeliver is what `identwatch redeliver` needs.
type Redeliver struct {
	// RedisURL and Shards are as in [Serve], Accounts as in [Enqueue].
	RedisURL Secret[string]
	Shards   int
	Accounts []string
	// CallbackURLs has for each of Accounts, or for "default", the webhook of
	// sessions that name none.
	CallbackURLs map[string]string
}

// Health is what `identwatch health` needs.
type Health struct {
	// Listen is the address that the service listens on, as in [Serve]. Who
	// asks it puts the loopback address where the host is empty.
	Listen string
}

// Simulate is what `identwatch simulate` reads.
type Simulate struct {
	// MarkSignAccessToken is as in [Serve], or "" where it is not set.
	MarkSignAccessToken Secret[string]
}

// Receive is what `identwatch receive` reads.
type Receive struct {
	// WebhookSecrets are as in [Serve], or none.
	WebhookSecrets Secret[[]string]
}

// noteTime is what a post in flight needs, at a shutdown, beyond its own
// timeout: the time to note how it ended.
const noteTime = 2 * time.Second

// LoadServe reads the settings of `identwatch serve` from the environment. The
// error is a *[Faults], which lists everything that is wrong, by this package's
// rules and by the checks given.
func LoadServe(checks Checks) (Serve, error) {
	in := readEnvironment()
	pace := parsed(in, "POLL_PACE", shown(parsePace))
	cfg := Serve{
		RedisURL:              secret(in, "REDIS_URL", checkRedisURL),
		Shards:                in.shards(),
		MarkSignAllowHTTP:     parsed(in, "MARKSIGN_ALLOW_HTTP", shown(parseBool)),
		CallbackAllowHTTP:     parsed(in, "CALLBACK_ALLOW_HTTP", shown(parseBool)),
		CallbackAllowNetworks: parsed(in, "CALLBACK_ALLOW_NETWORKS", shown(parseNetworks)),
		OutcomeKeys:           secret(in, "OUTCOME_KEYS", parseOutcomeKeys),
		Listen:                parsed(in, "LISTEN", shown(checkListen)),
		MonitorUser:           parsed(in, "MONITOR_USER", shown(checkUser)),
		MonitorPassword:       secret(in, "MONITOR_PASSWORD", checkPassword),
		MonitorWrite:          parsed(in, "MONITOR_WRITE", shown(parseBool)),
		PollPace:              pace.text,
		Pace:                  pace.steps,
		PollRate:              ranged(in, "POLL_RATE", parseRate),
		PollWorkers:           ranged(in, "POLL_WORKERS", parseCount),
		FollowLimit:           ranged(in, "FOLLOW_LIMIT", parseCount),
		Lease:                 ranged(in, "LEASE", parseDuration),
		SessionTimeout:        ranged(in, "SESSION_TIMEOUT", parseDuration),
		DeliveryWindow:        ranged(in, "DELIVERY_WINDOW", parseDuration),
		DeliveryTimeout:       ranged(in, "DELIVERY_TIMEOUT", parseDuration),
		DeliveryConcurrency:   ranged(in, "DELIVERY_CONCURRENCY", parseCount),
		RedeliveryWindow:      ranged(in, "REDELIVERY_WINDOW", parseDuration),
		APIRate:               ranged(in, "API_RATE", parseRate),
		MaxSessions:           ranged(in, "MAX_SESSIONS", parseCount),
		LogLevel:              in.logLevel("LOG_LEVEL"),
		LogFormat:             in.choice("LOG_FORMAT"),
		ShutdownTimeout:       ranged(in, "SHUTDOWN_TIMEOUT", parseDuration),
	}
	in.checkTogether(cfg)
	in.readAccounts(&cfg, checks.Account)
	return settled(in, cfg, checks.Service...)
}

// LoadEnqueue reads the settings of `identwatch enqueue`. The error is as in
// [LoadServe], about these settings alone.
func LoadEnqueue(checks ...Check[Enqueue]) (Enqueue, error) {
	in := readEnvironment()
	cfg := Enqueue{
		RedisURL: secret(in, "REDIS_URL", checkRedisURL),
		Shards:   in.shards(),
		Accounts: in.accountNames(),
		TaskKeys: make(map[string]Secret[[]string]),

		CallbackURLs:  make(map[string]string),
		CallbackHosts: make(map[string][]string),
	}
	for name, own := range in.eachAccount(cfg.Accounts) {
		cfg.TaskKeys[name] = secret(own, "TASK_KEYS", parseTaskKeys)
		cfg.CallbackURLs[name] = parsed(own, "CALLBACK_URL", parseCallbackURL)
		cfg.CallbackHosts[name] = parsed(own, "CALLBACK_HOSTS", shown(parseHosts))
	}
	return settled(in, cfg, checks...)
}

// LoadRedeliver reads the settings of `identwatch redeliver`. The error is as in
// [LoadServe], about these settings alone.
func LoadRedeliver(checks ...Check[Redeliver]) (Redeliver, error) {
	in := readEnvironment()
	cfg := Redeliver{
		RedisURL:     secret(in, "REDIS_URL", checkRedisURL),
		Shards:       in.shards(),
		Accounts:     in.accountNames(),
		CallbackURLs: make(map[string]string),
	}
	for name, own := range in.eachAccount(cfg.Accounts) {
		cfg.CallbackURLs[name] = parsed(own, "CALLBACK_URL", parseCallbackURL)
	}
	return settled(in, cfg, checks...)
}

// LoadHealth reads the settings of `identwatch health`. The error is as in
// [LoadServe], about these settings alone.
func LoadHealth() (Health, error) {
	in := readEnvironment()
	return settled(in, Health{Listen: parsed(in, "LISTEN", shown(checkListen))})
}

// LoadSimulate reads the settings of `identwatch simulate`, none of which need be
// set. The error is as in [LoadServe], about these settings alone.
func LoadSimulate() (Simulate, error) {
	in := readEnvironment()
	return settled(in, Simulate{MarkSignAccessToken: optionalSecret(in, "MARKSIGN_ACCESS_TOKEN", checkToken)})
}

// LoadReceive reads the settings of `identwatch receive`, none of which need be
// set. The error is as in [LoadServe], about these settings alone.
func LoadReceive() (Receive, error) {
	in := readEnvironment()
	return settled(in, Receive{WebhookSecrets: optionalSecret(in, "WEBHOOK_SECRETS", parseWebhookSecrets)})
}

// checkTogether finds what no variable shows by itself. It says nothing about a
// variable that already has a fault of its own.
func (in *input) checkTogether(cfg Serve) {
	if cfg.MonitorWrite && !in.given("MONITOR_PASSWORD") {
		in.fault("MONITOR_WRITE", "is true, and without a password there is no /monitor: set MONITOR_PASSWORD, or take MONITOR_WRITE away")
	}
	if in.faulty("DELIVERY_TIMEOUT") || in.faulty("SHUTDOWN_TIMEOUT") {
		return
	}
	if least := cfg.DeliveryTimeout + noteTime; cfg.ShutdownTimeout < least {
		in.fault("SHUTDOWN_TIMEOUT", "is "+cfg.ShutdownTimeout.String()+
			", too short for a delivery in flight to finish: write at least "+least.String()+
			" (DELIVERY_TIMEOUT and 2s), or shorten DELIVERY_TIMEOUT")
	}
}
