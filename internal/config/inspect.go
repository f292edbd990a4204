package config

// Inspect is what the commands need that look at sessions: `identwatch status`
// and `identwatch sessions`.
type Inspect struct {
	// RedisURL and Shards are as in [Serve].
	RedisURL Secret[string]
	Shards   int
	// Accounts are as in [Enqueue].
	Accounts []string
}

// LoadInspect reads the settings of those commands. The error is as in
// [LoadServe], about these settings alone.
func LoadInspect(checks ...Check[Inspect]) (Inspect, error) {
	in := readEnvironment()
	return settled(in, Inspect{RedisURL: secret(in, "REDIS_URL", checkRedisURL), Shards: in.shards(), Accounts: in.accountNames()}, checks...)
}
