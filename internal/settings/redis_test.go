package settings

import "testing"

func TestWithSetting_KeepsWhatTheURLSets(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]string{
		"redis://host":                           "redis://host?pool_size=64",
		"rediss://:p%40ss@host:6380/3?db=1":      "rediss://:p%40ss@host:6380/3?db=1&pool_size=64",
		"redis://host?pool_size=5":               "redis://host?pool_size=5",
		"redis-socket:///run/redis.sock":         "redis-socket:///run/redis.sock",
		"redis-sentinel://a:1,b:2/0?master=name": "redis-sentinel://a:1,b:2/0?master=name",
		"redis-cluster://a:1,b:2":                "redis-cluster://a:1,b:2",
		"rediss-cluster://:p%40ss@a":             "rediss-cluster://:p%40ss@a",
		"redis://host?%zz":                       "redis://host?%zz",
	} {
		if got := WithSetting(rawURL, "pool_size", "64"); got != want {
			t.Errorf("%s: got %s, want %s", rawURL, got, want)
		}
	}
}
