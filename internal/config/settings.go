package config

import (
	"reflect"
	"strings"
)

// environment is the one table of variables: what envconfig fills, and what
// [Settings], the help and the README show. Every field is a string, so that
// filling it cannot fail; the loaders parse the texts and report their faults.
//
// Tags: default is the value of a variable that is not set or blank; need says
// when it must be set; secret allows NAME_FILE; range and choices bound the
// value; of says account for what each account has of its own; desc is the help, in which '...' stands for code (a tag cannot hold a
// back quote), and which follows "is required: " where the variable is missing.
type environment struct {
	RedisURL string `envconfig:"REDIS_URL" need:"yes" secret:"true" desc:"where Redis is, such as 'redis://localhost:6379/0'; with 'rediss' over TLS, with 'redis-socket' on a Unix socket, with 'redis-sentinel' behind Sentinel, with 'rediss-sentinel' that over TLS; with 'redis-cluster' a Redis Cluster, with 'rediss-cluster' that over TLS"`

	Shards   string `envconfig:"SHARDS" range:"1 to 256" desc:"over how many shards the sessions are spread, the same for all processes and applications on one Redis; 1, or 8 on a Redis Cluster, if it is not set"`
	Accounts string `envconfig:"ACCOUNTS" desc:"names of the MarkSign accounts, comma separated, such as 'shop,crm': then what is of each account is read with its name in front, such as 'SHOP_CALLBACK_URL'; without it there is one account, named 'default'"`

	MarkSignURL         string `envconfig:"MARKSIGN_URL" of:"account" default:"https://api.marksign.eu" desc:"base URL of MarkSign, https; http only if the host is this machine, such as 'http://localhost:8090'"`
	MarkSignAccessToken string `envconfig:"MARKSIGN_ACCESS_TOKEN" of:"account" need:"yes" secret:"true" desc:"the access token that MarkSign gave you; its file is read again on SIGHUP and when it changes"`
	MarkSignLocale      string `envconfig:"MARKSIGN_LOCALE" of:"account" default:"lt" choices:"lt en" desc:"language of the messages of MarkSign"`
	MarkSignAllowHTTP   string `envconfig:"MARKSIGN_ALLOW_HTTP" default:"false" desc:"'true' allows MarkSign over plain http on other machines too, as for a simulator: access token and identities then cross the network in the clear"`

	CallbackURL           string `envconfig:"CALLBACK_URL" of:"account" desc:"webhook to post to where a session names none"`
	CallbackHosts         string `envconfig:"CALLBACK_HOSTS" of:"account" desc:"hosts that events may be posted to beside 'CALLBACK_URL', comma separated: 'hooks.example.com', or '*.example.com' for all names below it; without it a session may name any host"`
	CallbackAllowHTTP     string `envconfig:"CALLBACK_ALLOW_HTTP" default:"false" desc:"'true' allows callbacks over plain http"`
	CallbackAllowNetworks string `envconfig:"CALLBACK_ALLOW_NETWORKS" desc:"networks that callbacks may be in although they are not public, comma separated, such as '10.0.0.0/8'; link-local addresses, cloud metadata, Redis and the service itself stay closed"`

	WebhookSecrets    string `envconfig:"WEBHOOK_SECRETS" of:"account" need:"unless 'WEBHOOK_SIGNING_KEY' is set" secret:"true" desc:"base64 of 24 to 64 random bytes, with 'whsec_' in front or without, for example from 'identwatch secret webhook'; comma separated while you rotate them: all sign"`
	WebhookSigningKey string `envconfig:"WEBHOOK_SIGNING_KEY" of:"account" need:"unless 'WEBHOOK_SECRETS' is set" secret:"true" desc:"'whsk_' and base64 of an Ed25519 seed (32 bytes) or private key (64 bytes), for example from 'identwatch secret signing': receivers verify with its public key and need no shared secret"`
	APIKeys           string `envconfig:"API_KEYS" of:"account" secret:"true" desc:"'sha256:' and the SHA-256 of an API key in hexadecimal, for example from 'identwatch secret api'; comma separated: all are taken. Without it the account has no HTTP API"`
	TaskKeys          string `envconfig:"TASK_KEYS" of:"account" secret:"true" desc:"'task_' and base64 of 32 random bytes, for example from 'identwatch secret task'; comma separated while you rotate them: the first signs what the HTTP API and 'identwatch enqueue' put into Redis, any of them verifies. With it a session that is not signed waits; without it everybody who can write to Redis can have sessions followed"`
	OutcomeKeys       string `envconfig:"OUTCOME_KEYS" need:"yes" secret:"true" desc:"base64 of 32 random bytes, for example from 'identwatch secret outcome'; comma separated while you rotate them: the first seals results, all open them"`

	Listen string `envconfig:"LISTEN" default:":8080" desc:"host:port that the service listens on, and that 'identwatch health' asks"`

	MonitorUser     string `envconfig:"MONITOR_USER" default:"operator" desc:"the name that '/monitor' asks for"`
	MonitorPassword string `envconfig:"MONITOR_PASSWORD" secret:"true" desc:"the password that '/monitor' asks for, of 12 characters or more and hard to guess, for example from 'identwatch secret monitor'; without it '/monitor' is off"`
	MonitorWrite    string `envconfig:"MONITOR_WRITE" default:"false" desc:"'true' lets '/monitor' also run, archive and delete tasks, and pause queues"`

	PollPace       string `envconfig:"POLL_PACE" default:"1s,30s:2s,60s:3s,2m:5s" desc:"pause between two polls of a session, then elapsed:pause for later in its life; a pause is 100ms to 1m"`
	PollRate       string `envconfig:"POLL_RATE" default:"0" range:"0 to 100000" desc:"most polls per second of one process; 0 is no bound"`
	PollWorkers    string `envconfig:"POLL_WORKERS" default:"256" range:"1 to 10000" desc:"most polls in flight in one process"`
	FollowLimit    string `envconfig:"FOLLOW_LIMIT" default:"50000" range:"1 to 1000000" desc:"most sessions that one process follows"`
	Lease          string `envconfig:"LEASE" default:"10s" range:"3s to 5m" desc:"how long the sessions of a dead process wait for another"`
	SessionTimeout string `envconfig:"SESSION_TIMEOUT" default:"15m" range:"10s to 24h" desc:"how long a session is followed before it is given up"`

	DeliveryWindow      string `envconfig:"DELIVERY_WINDOW" default:"72h" range:"1m to 30d" desc:"how long an event is posted again before its delivery is given up"`
	DeliveryTimeout     string `envconfig:"DELIVERY_TIMEOUT" default:"15s" range:"1s to 2m" desc:"total time of one post"`
	DeliveryConcurrency string `envconfig:"DELIVERY_CONCURRENCY" default:"64" range:"1 to 1000" desc:"most posts in flight in one process"`
	RedeliveryWindow    string `envconfig:"REDELIVERY_WINDOW" default:"168h" range:"0 to 90d" desc:"how long a result is kept, sealed, after its delivery was given up"`

	APIRate         string `envconfig:"API_RATE" default:"500" range:"0 to 100000" desc:"most requests per second that an account may make of the HTTP API of one process, where a batch counts each of its sessions; 1000 may come at once; 0 is no bound"`
	MaxSessions     string `envconfig:"MAX_SESSIONS" default:"100000" range:"0 to 10000000" desc:"most sessions of an account that are not finished, waiting or followed in all processes, before the HTTP API takes no more of it; 0 is no bound"`
	LogLevel        string `envconfig:"LOG_LEVEL" default:"info" choices:"debug info warn error" desc:"least level that is logged"`
	LogFormat       string `envconfig:"LOG_FORMAT" default:"json" choices:"json text" desc:"form of a log line"`
	ShutdownTimeout string `envconfig:"SHUTDOWN_TIMEOUT" default:"30s" range:"3s to 10m" desc:"most time that a stop takes, at least 'DELIVERY_TIMEOUT' and 2s"`
}

// Setting is one variable of the environment.
type Setting struct {
	// Name is the variable.
	Name string
	// Default is the text of its default; "" is none.
	Default string
	// Required is "yes", the condition under which it must be set ("unless ..."),
	// or "" where it need not be.
	Required string
	// Secret says that no report shows its value, and that NAME_FILE may name a
	// file that holds it.
	Secret bool
	// OfAccount says that each account has its own: where ACCOUNTS is set, the
	// variable is read with the account's name in front.
	OfAccount bool
	// Range says in words which values are taken, such as "3s to 5m" or "json or
	// text"; "" where Help says it.
	Range string
	// Help says what the variable is for. Code is between back quotes.
	Help string

	choices []string // the only values that are taken; none for any
}

// Settings returns every variable that `identwatch serve` reads, in the order
// of the help.
func Settings() []Setting {
	var settings []Setting
	for field := range reflect.TypeFor[environment]().Fields() {
		settings = append(settings, newSetting(field.Tag))
	}
	return settings
}

func newSetting(tag reflect.StructTag) Setting {
	code := strings.NewReplacer("'", "`")
	s := Setting{
		Name:      tag.Get("envconfig"),
		Default:   tag.Get("default"),
		Required:  code.Replace(tag.Get("need")),
		Secret:    tag.Get("secret") == "true",
		OfAccount: tag.Get("of") == "account",
		Range:     tag.Get("range"),
		Help:      code.Replace(tag.Get("desc")),
		choices:   strings.Fields(tag.Get("choices")),
	}
	if last := len(s.choices) - 1; last > 0 {
		s.Range = strings.Join(s.choices[:last], ", ") + " or " + s.choices[last]
	}
	return s
}

// fileName is the variable that names a file with the value of a secret.
func (s Setting) fileName() string { return s.Name + "_FILE" }
