// Package config owns the environment of identwatch: which variables there are,
// their defaults and ranges, and how their text becomes typed settings.
//
// The loaders read the environment once, check it as a whole, and report every
// fault in one [Faults], by variable name and with what to do about it. A value
// that may be secret is in no report, and the settings print it as [redacted].
//
// The package never acts on a setting: it opens nothing but the files that
// NAME_FILE variables name, and dials nobody. Only the commands import it.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Serve is what `identwatch serve` runs on. [LoadServe] returns it checked as a
// whole, so that every field is within the range its comment gives.
type Serve struct {
	// RedisURL has the scheme redis, rediss, redis-socket or redis-sentinel.
	// Only its syntax is checked here.
	RedisURL Secret[string]

	// MarkSignURL is an absolute http or https URL without user, query,
	// fragment and trailing slash.
	MarkSignURL string
	// MarkSignAccessToken is not empty, and has neither white space nor control
	// characters.
	MarkSignAccessToken Secret[string]
	// MarkSignLocale is "lt" or "en".
	MarkSignLocale string

	// CallbackURL is the webhook of sessions that name none; "" is none. It is
	// http only where CallbackAllowHTTP is set.
	CallbackURL string
	// CallbackAllowHTTP allows callbacks over plain http.
	CallbackAllowHTTP bool
	// CallbackAllowNetworks opens networks that are not public; none are open by
	// default. No prefix has bits outside its mask.
	CallbackAllowNetworks []netip.Prefix

	// WebhookSecrets are the texts as configured, each base64 of 24 to 64 bytes
	// with or without "whsec_" in front; none where only WebhookSigningKey signs.
	WebhookSecrets Secret[[]string]
	// WebhookSigningKey is "whsk_" and base64 of 32 or 64 bytes, or "" where
	// only WebhookSecrets sign. One of the two is always there.
	WebhookSigningKey Secret[string]
	// OutcomeKeys are one or more different keys of 32 bytes: the first seals,
	// all open.
	OutcomeKeys Secret[[][]byte]

	// Listen is host:port, the host empty for all addresses. Port 0 is any free one.
	Listen string

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
	// RedisURL is as in [Serve].
	RedisURL Secret[string]
}

// Redeliver is what `identwatch redeliver` needs.
type Redeliver struct {
	// RedisURL, CallbackURL and DeliveryTimeout are as in [Serve].
	RedisURL        Secret[string]
	CallbackURL     string
	DeliveryTimeout time.Duration
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
func LoadServe(checks ...Check[Serve]) (Serve, error) {
	in := readEnvironment()
	pace := parsed(in, "POLL_PACE", shown(parsePace))
	cfg := Serve{
		RedisURL:              secret(in, "REDIS_URL", checkRedisURL),
		MarkSignURL:           parsed(in, "MARKSIGN_URL", parseBaseURL),
		MarkSignAccessToken:   secret(in, "MARKSIGN_ACCESS_TOKEN", checkToken),
		MarkSignLocale:        in.choice("MARKSIGN_LOCALE"),
		CallbackURL:           parsed(in, "CALLBACK_URL", parseCallbackURL),
		CallbackAllowHTTP:     parsed(in, "CALLBACK_ALLOW_HTTP", shown(parseBool)),
		CallbackAllowNetworks: parsed(in, "CALLBACK_ALLOW_NETWORKS", shown(parseNetworks)),
		WebhookSecrets:        secret(in, "WEBHOOK_SECRETS", parseWebhookSecrets),
		WebhookSigningKey:     secret(in, "WEBHOOK_SIGNING_KEY", checkSigningKey),
		OutcomeKeys:           secret(in, "OUTCOME_KEYS", parseOutcomeKeys),
		Listen:                parsed(in, "LISTEN", shown(checkListen)),
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
		LogLevel:              in.logLevel("LOG_LEVEL"),
		LogFormat:             in.choice("LOG_FORMAT"),
		ShutdownTimeout:       ranged(in, "SHUTDOWN_TIMEOUT", parseDuration),
	}
	in.checkTogether(cfg)
	return settled(in, cfg, checks...)
}

// LoadEnqueue reads the settings of `identwatch enqueue`. The error is as in
// [LoadServe], about these settings alone.
func LoadEnqueue(checks ...Check[Enqueue]) (Enqueue, error) {
	in := readEnvironment()
	return settled(in, Enqueue{RedisURL: secret(in, "REDIS_URL", checkRedisURL)}, checks...)
}

// LoadRedeliver reads the settings of `identwatch redeliver`. The error is as in
// [LoadServe], about these settings alone.
func LoadRedeliver(checks ...Check[Redeliver]) (Redeliver, error) {
	in := readEnvironment()
	return settled(in, Redeliver{
		RedisURL:        secret(in, "REDIS_URL", checkRedisURL),
		CallbackURL:     parsed(in, "CALLBACK_URL", parseCallbackURL),
		DeliveryTimeout: ranged(in, "DELIVERY_TIMEOUT", parseDuration),
	}, checks...)
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
	if s := in.variables["WEBHOOK_SECRETS"]; !in.given(s.Name) && !in.given("WEBHOOK_SIGNING_KEY") {
		in.fault(s.Name, "is required "+s.Required+": "+s.Help)
	}
	if strings.HasPrefix(cfg.CallbackURL, "http:") && !cfg.CallbackAllowHTTP && !in.faulty("CALLBACK_ALLOW_HTTP") {
		in.fault("CALLBACK_URL", "is plain http: write an https URL, or set CALLBACK_ALLOW_HTTP=true")
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
