// Package redisinfo reads what Redis says of itself with INFO, and judges whether it
// is fit to keep the promises of the service. It changes nothing in Redis.
//
// Read redisinfo.go, then masters.go (of a cluster, each is asked), ping.go (whether one
// answers) and check.go.
package redisinfo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Info is what INFO answered, by its names, such as redis_version.
type Info map[string]string

// Read asks Redis for all of it.
func Read(ctx context.Context, rdb redis.UniversalClient) (Info, error) {
	text, err := rdb.Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("asking Redis for its state: %w", err)
	}
	return parse(text), nil
}

func parse(text string) Info {
	info := make(Info)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	return info
}

// Version is such as "7.2.4"; "" if Redis does not say.
func (i Info) Version() string { return i["redis_version"] }

// Replicas is how many replicas are connected. A Redis that does not say has none.
func (i Info) Replicas() int {
	n, err := strconv.Atoi(i["connected_slaves"])
	if err != nil {
		return 0
	}
	return n
}
