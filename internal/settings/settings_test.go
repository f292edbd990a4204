package settings

import (
	"testing"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/config/configtest"
)

func TestChecks_TakesAListOfSentinels(t *testing.T) {
	variables := configtest.Secrets()
	variables["REDIS_URL"] = "redis-sentinel://user:pass@h1:26379,h2:26379/0?master=name"
	configtest.Set(t, variables)
	if _, err := config.LoadServe(Checks); err != nil {
		t.Error(err)
	}
}
