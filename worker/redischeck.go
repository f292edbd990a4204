package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// CheckRedis looks at whether Redis is fit to keep promises. It returns what is
// unsafe, each with what to do, and an error where the worker cannot run on it:
// it is older than version 7, in cluster mode, or cannot be asked.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient) (unsafe []string, err error) {
	text, err := rdb.Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("asking Redis for its state: %w", err)
	}
	info := parseInfo(text)
	version := info["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return nil, fmt.Errorf("this Redis says that its version is %.20q; identwatch needs Redis 7 or later, or Valkey", version)
	}
	if info["cluster_enabled"] == "1" {
		return nil, errors.New("this Redis runs in cluster mode, which identwatch does not support; use one primary, with Sentinel for failover")
	}
	return append(unsafeSettings(info), unsafeConnection(rdb)...), nil
}

// unsafeConnection looks at how the client reaches Redis.
func unsafeConnection(rdb redis.UniversalClient) []string {
	client, ok := rdb.(interface{ Options() *redis.Options })
	if !ok {
		return nil
	}
	if tls := client.Options().TLSConfig; tls != nil && tls.InsecureSkipVerify {
		return []string{"REDIS_URL has skip_verify, so anybody on the way can pass for Redis; take it out, and have this machine trust Redis's certificate"}
	}
	return nil
}

func unsafeSettings(info map[string]string) []string {
	var unsafe []string
	if policy := info["maxmemory_policy"]; policy != "noeviction" && policy != "" {
		unsafe = append(unsafe, fmt.Sprintf("maxmemory-policy is %s, so a full Redis silently loses sessions; set maxmemory-policy noeviction", policy))
	}
	if info["aof_enabled"] != "1" {
		unsafe = append(unsafe, "appendonly is off, so a restart of Redis loses what came after the last snapshot; set appendonly yes")
	}
	if info["role"] == "slave" {
		unsafe = append(unsafe, "this Redis is a replica, which refuses writes; REDIS_URL must name the primary or the sentinels")
	}
	return unsafe
}

func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	return info
}
