package config

// Answer is what `identwatch answer` needs.
type Answer struct {
	// RedisURL, Shards and OutcomeKeys are as in [Serve], Accounts as in [Enqueue].
	RedisURL    Secret[string]
	Shards      int
	OutcomeKeys Secret[[][]byte]
	Accounts    []string
}

// LoadAnswer reads the settings of that command. The error is as in [LoadServe],
// about these settings alone.
func LoadAnswer(checks ...Check[Answer]) (Answer, error) {
	in := readEnvironment()
	return settled(in, Answer{
		RedisURL: secret(in, "REDIS_URL", checkRedisURL), Shards: in.shards(), OutcomeKeys: secret(in, "OUTCOME_KEYS", parseOutcomeKeys), Accounts: in.accountNames(),
	}, checks...)
}
