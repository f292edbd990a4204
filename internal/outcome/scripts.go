package outcome

import (
	"embed"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The scripts are named like the methods that run them. What they take and return
// stands at their beginning, and in lib.lua what those on one record share.
//
//go:embed scripts/*.lua
var scriptFiles embed.FS

// The scripts on one record, with lib.lua in front of each.
var (
	readScript         = recordScript("read")
	followScript       = recordScript("follow")
	forgetScript       = recordScript("forget")
	keepScript         = recordScript("keep")
	noteTroubleScript  = recordScript("note_trouble")
	noteUnusableScript = recordScript("note_unusable")
	sealScript         = recordScript("seal")
	resealScript       = recordScript("reseal")
	claimScript        = recordScript("claim")
	failScript         = recordScript("fail")
	handOverScript     = recordScript("hand_over")
	deliverScript      = recordScript("deliver")
	giveUpScript       = recordScript("give_up")
	redeliverScript    = recordScript("redeliver")
	cancelScript       = recordScript("cancel")
	removingScript     = recordScript("removing")
	failRemovalScript  = recordScript("fail_removal")
	endRemovalScript   = recordScript("end_removal")
	settleScript       = recordScript("settle")
)

// The scripts on many records.
var (
	peekScript         = redis.NewScript(source("peek"))
	unrecordedScript   = redis.NewScript(source("unrecorded"))
	heldByOthersScript = redis.NewScript(source("held_by_others"))
	pruneGivenUpScript = redis.NewScript(source("prune_given_up"))
)

func recordScript(name string) *redis.Script { return redis.NewScript(source("lib") + source(name)) }

func source(name string) string {
	text, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // the names above are those of the files: any test would see it
	}
	return string(text)
}

// The scripts keep a record for 30 days at least, because nobody knows when workers
// run again, and a follow task without a record is a new session. Once the last task
// has ended, Settle shortens that to an hour more than the task.
const (
	unsettled = 30 * 24 * time.Hour
	late      = time.Hour
)

// margin is what a record outlives its purpose by, so that whoever comes late
// still finds it.
const margin = 24 * time.Hour

// recordArgs are the first arguments of every script on one record, in the order in
// which lib.lua names them: what Go and Lua both go by is written down once.
var recordArgs = []any{
	recordVersion, words(asksPost), words(mayRemove), KeptReason,
	unsettled.Milliseconds(), margin.Milliseconds(), late.Milliseconds(),
}

func words(states []State) string {
	names := make([]string, len(states))
	for i, state := range states {
		names[i] = string(state)
	}
	return strings.Join(names, " ")
}
