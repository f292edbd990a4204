package redisinfo

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Flaw is what is unsafe about a Redis, and what to do about it.
type Flaw struct{ Problem, Remedy string }

// String is both, as a log line says it.
func (f Flaw) String() string { return f.Problem + "; " + f.Remedy }

// Check judges all masters that answered, as [Info.Check] does. What several masters
// have in common is returned once. What only some have names them.
func Check(rdb redis.UniversalClient, states []State) ([]Flaw, error) {
	var masters []Master
	var flaws [][]Flaw
	for _, s := range states {
		if s.Err != nil {
			continue
		}
		found, err := s.Info.Check(rdb)
		if err != nil {
			return nil, s.Named(err)
		}
		masters, flaws = append(masters, s.Master), append(flaws, found)
	}
	return Merge(masters, flaws), nil
}

// Merge returns each flaw once, in the order in which they are found. The flaws are
// those of the master with the same index. A flaw that not all masters have names
// those that have it.
func Merge(masters []Master, flaws [][]Flaw) []Flaw {
	var merged []Flaw
	for _, flaw := range slices.Concat(flaws...) {
		if slices.Contains(merged, flaw) {
			continue
		}
		merged = append(merged, flaw)
	}
	for i, flaw := range merged {
		var ill []string
		for at, of := range flaws {
			if slices.Contains(of, flaw) {
				ill = append(ill, masters[at].Addr)
			}
		}
		if len(ill) < len(masters) {
			merged[i].Problem += fmt.Sprintf(" (%d of %d masters: %s)", len(ill), len(masters), strings.Join(ill, ", "))
		}
	}
	return merged
}

// Check looks at whether a Redis is fit to keep promises. It returns what is unsafe
// about it and about the client's way to it, and an error if the worker cannot run on
// it: it is older than version 7, or in cluster mode without a client for a cluster.
func (i Info) Check(rdb redis.UniversalClient) ([]Flaw, error) {
	major, _, _ := strings.Cut(i.Version(), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return nil, fmt.Errorf("this Redis says that its version is %.20q; identwatch needs Redis 7 or later, or Valkey", i.Version())
	}
	if _, ok := rdb.(*redis.ClusterClient); !ok && i["cluster_enabled"] == "1" {
		return nil, errors.New("this Redis is in cluster mode: use redis-cluster:// in REDIS_URL, or rediss-cluster:// with TLS")
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
	if i["role"] == "slave" && i["cluster_enabled"] != "1" { // a node of a cluster has been replaced just now, and the client finds the new master
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
