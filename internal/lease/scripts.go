package lease

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

// The scripts are named like the methods that run them. What they take and return
// stands at their beginning.
//
//go:embed scripts/*.lua
var scriptFiles embed.FS

var (
	releaseScript    = script("release")
	finishScript     = script("finish")
	postponeScript   = script("postpone")
	sweepScript      = script("sweep")
	bringBackScript  = script("bring_back")
	mendScript       = script("mend_orphans")
	unfinishedScript = script("unfinished")
	lookScript       = script("look")
)

func script(name string) *redis.Script {
	text, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // the names above are those of the files: any test would see it
	}
	return redis.NewScript(string(text))
}
