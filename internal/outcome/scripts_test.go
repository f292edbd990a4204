package outcome

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scriptFile is a script as it stands in its file.
type scriptFile struct{ comment, code string }

// scriptsByName are the files in scripts/, each cut behind its first comment.
func scriptsByName(t *testing.T) map[string]scriptFile {
	t.Helper()
	paths, err := filepath.Glob("scripts/*.lua")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	scripts := make(map[string]scriptFile, len(paths))
	for _, path := range paths {
		comment, code, _ := strings.Cut(readFile(t, path), "\n\n")
		scripts[strings.TrimSuffix(filepath.Base(path), ".lua")] = scriptFile{comment, code}
	}
	return scripts
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// found are the texts that the pattern's one group matches, sorted, each once.
func found(pattern, text string) []string {
	var all []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestScripts_SayWhatTheyTakeAndReturn(t *testing.T) {
	t.Parallel()
	for name, script := range scriptsByName(t) {
		for _, word := range []string{"KEYS", "ARGV", "eturns"} {
			if !strings.HasPrefix(script.comment, "-- ") || !strings.Contains(script.comment, word) {
				t.Errorf("the comment at the beginning of %s.lua lacks %q:\n%s", name, word, script.comment)
			}
		}
	}
}

func TestScripts_AreEachUsed(t *testing.T) {
	t.Parallel()
	files := slices.Sorted(maps.Keys(scriptsByName(t)))
	if used := found(`(?:recordScript|source)\("(\w+)"\)`, readFile(t, "scripts.go")); !slices.Equal(files, used) {
		t.Errorf("the files are %q, scripts.go uses %q", files, used)
	}
}

// redisWords are what the scripts say to Redis and to Lua.
var redisWords = strings.Fields(`TIME HGET HSET HSETNX HGETALL HDEL HEXISTS HINCRBY GET SET PX DEL EXISTS STRLEN PTTL PEXPIRE ZADD ZREM %S+ %.0f 1`)

// TestScripts_NameOnlyWhatGoKnows: a state, a removal or a field that is spelt in
// another way than in Go would be a state that nobody goes on from, or a field that
// nobody reads.
func TestScripts_NameOnlyWhatGoKnows(t *testing.T) {
	t.Parallel()
	record := readFile(t, "record.go")
	states, removals := found(` State += "(\w*)"`, record), found(` Removal += "(\w*)"`, record)
	fields := found(`fields\["(\w+)"\]`, record)
	if len(states) != 8 || len(removals) != 4 || len(fields) != 26 {
		t.Fatalf("record.go has the states %q, the removals %q and the fields %q", states, removals, fields)
	}
	onlyLua := []string{"retention", "claim_from", "failed", "removing"} // fields that no reader of a record asks for
	known := slices.Concat(states, removals, fields, onlyLua, redisWords)
	named := map[string]bool{}
	for name, script := range scriptsByName(t) {
		for _, word := range found(`'([^']*)'`, regexp.MustCompile(`--.*`).ReplaceAllString(script.code, "")) {
			named[word] = true
			if !slices.Contains(known, word) {
				t.Errorf("%s.lua names %q, which Go does not know", name, word)
			}
		}
	}
	for _, word := range slices.Concat(fields, redisWords) {
		if !named[word] {
			t.Errorf("Go knows %q, which no script names", word)
		}
	}
}

// TestScripts_GoByTheStatesOfGo: which states ask for a post and which allow a removal
// is written down in Go, and the scripts go by that.
func TestScripts_GoByTheStatesOfGo(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		others := []string{"new", "sealed handed", "sealed%", ".*", "Sealed", " sealed"}
		for _, name := range append(found(` State += "(\w*)"`, readFile(t, "record.go")), others...) {
			state := State(name)
			for call, c := range map[string]struct {
				try  func() (Change, error)
				want bool
			}{
				"Claim":      {func() (Change, error) { return s.Claim(ctx, session, "a", claimTime) }, state.AsksPost()},
				"EndRemoval": {func() (Change, error) { return s.EndRemoval(ctx, session, Removed) }, state.MayRemove()},
			} {
				s.cfg.Redis.FlushAll(ctx)
				if state != None {
					s.cfg.Redis.HSet(ctx, recordKey(session), "v", recordVersion, "state", name)
				}
				if change, err := c.try(); err != nil || change.Applied != c.want {
					t.Errorf("%s in state %q: applied %v, %v, want %v", call, name, change.Applied, err, c.want)
				}
			}
		}
	})
}

// TestSealedResult_ComesOnlyWithAClaim: it may be megabytes.
func TestSealedResult_ComesOnlyWithAClaim(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		for name, call := range everyMethod(ctx, s) {
			s.cfg.Redis.FlushAll(ctx)
			must(t)(s.Seal(ctx, session, result, "a", claimTime))
			change, err := call()
			if err != nil {
				t.Fatal(name, err)
			}
			if came := len(change.Record.sealed) > 0; came != (name == "post: claim") {
				t.Errorf("%s: the sealed result came: %v", name, came)
			}
			if there := s.cfg.Redis.Exists(ctx, sealedKey(session)).Val() == 1; change.Record.HasSealed() != there {
				t.Errorf("%s: says that the sealed result is there: %v, it is: %v", name, change.Record.HasSealed(), there)
			}
		}
		must(t)(s.Seal(ctx, Session{ID: "default:other"}, result, "a", claimTime))
		r := mustNot(t)(s.Claim(ctx, Session{ID: "default:other"}, "b", claimTime))
		if len(r.sealed) > 0 || !r.HasSealed() {
			t.Errorf("a claim that was refused: %d bytes, %v", len(r.sealed), r.HasSealed())
		}
		if _, err := s.Open(Session{ID: "default:other"}, r); err == nil || IsSealError(err) {
			t.Errorf("opening a record that was not claimed: %v", err)
		}
	})
}
