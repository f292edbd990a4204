package redisinfo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Flaw is what is unsafe about a Redis, and what to do about it.
type Flaw struct{ Problem, Remedy string }

// String is both, as a log line says it.
func (f Flaw) String() string { return f.Problem + "; " + f.Remedy }

// Check looks at whether Redis is fit to keep promises. It returns what is unsafe
// about it and about the client's way to it, and an error if the worker cannot run on
// it: it is older than version 7, or in cluster mode.
func (i Info) Check(rdb redis.UniversalClient) ([]Flaw, error) {
	major, _, _ := strings.Cut(i.Version(), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return nil, fmt.Errorf("this Redis says that its version is %.20q; identwatch needs Redis 7 or later, or Valkey", i.Version())
	}
	if i["cluster_enabled"] == "1" {
		return nil, errors.New("this Redis runs in cluster mode, which identwatch does not support; use one primary, with Sentinel for failover")
	}
	return append(i.unsafeSettings(), unsafeConnection(rdb)...), nil
}

func (i Info) unsafeSettings() []Flaw {
	var flaws []Flaw
	if policy := i["maxmemory_policy"]; policy != "noeviction" && policy != "" {
		flaws = append(flaws, Flaw{
			fmt.Sprintf("maxmemory-policy is %s, so a full Redis silently loses sessions", policy), "set maxmemory-policy noeviction",
		})
	}
	if i["aof_enabled"] != "1" {
		flaws = append(flaws, Flaw{"appendonly is off, so a restart of Redis loses what came after the last snapshot", "set appendonly yes"})
	}
	if i["role"] == "slave" {
		flaws = append(flaws, Flaw{"this Redis is a replica, which refuses writes", "REDIS_URL must name the primary or the sentinels"})
	}
	return flaws
}

// unsafeConnection looks at how the client reaches Redis.
func unsafeConnection(rdb redis.UniversalClient) []Flaw {
	client, ok := rdb.(interface{ Options() *redis.Options })
	if !ok {
		return nil
	}
	if tls := client.Options().TLSConfig; tls != nil && tls.InsecureSkipVerify {
		return []Flaw{{
			"REDIS_URL has skip_verify, so anybody on the way can pass for Redis", "take it out, and have this machine trust Redis's certificate",
		}}
	}
	return nil
}
