package settings

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/tasks"
)

// CheckRedisURL is the part of REDIS_URL that only the client can judge.
func CheckRedisURL(rawURL config.Secret[string]) error {
	rdb, err := tasks.OpenRedis(rawURL.Reveal())
	if err != nil {
		return fmt.Errorf("is %w", err)
	}
	return rdb.Close()
}

// WithSetting sets one of the client's settings in a redis:// or rediss:// URL
// that does not set it. URLs of the other schemes have no settings.
func WithSetting(rawURL, name, value string) string {
	base, query, _ := strings.Cut(rawURL, "?")
	settings, err := url.ParseQuery(query)
	if err != nil || settings.Has(name) || !strings.HasPrefix(base, "redis://") && !strings.HasPrefix(base, "rediss://") {
		return rawURL
	}
	settings.Set(name, value)
	return base + "?" + settings.Encode()
}
