package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// TestServe_LeavesNoSealedResultAfterARewrite follows a sealed result into the
// append-only file, and sees it gone from Redis with the 2xx, and from the file
// with Redis's next rewrite.
func TestServe_LeavesNoSealedResultAfterARewrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no")
	w.receiver.script = func(_ webhook.Event, _ []byte, nth int) answer {
		if nth == 1 {
			return answer{status: http.StatusServiceUnavailable}
		}
		return answer{}
	}
	w.serve()
	tokens := w.begin("rewritten", 5, confirms(0, time.Second))
	w.enqueue(tokens)
	sealed := make(map[string][]byte)
	eventually(t, time.Minute, "every result is sealed", func() bool {
		for _, token := range tokens {
			if value, err := w.rdb.Get(w.ctx, "identwatch:default:"+token+":sealed").Bytes(); err == nil {
				sealed[token] = value
			}
		}
		return len(sealed) == len(tokens)
	})
	for token, value := range sealed {
		if !bytes.Contains(w.appendOnlyFiles(), value) {
			t.Fatalf("the sealed result of %s is not in the append-only file, so this test would see nothing", token)
		}
	}
	w.awaitRemoved(tokens, time.Minute)
	w.awaitQuiet(time.Minute)
	if left := w.rdb.Keys(w.ctx, "*:sealed").Val(); len(left) > 0 {
		t.Errorf("sealed results are left in Redis: %q", left)
	}
	if err := w.rdb.BgRewriteAOF(w.ctx).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the rewrite has ended", func() bool {
		info := w.rdb.Info(w.ctx, "persistence").Val()
		return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
	})
	after := w.appendOnlyFiles()
	if !bytes.Contains(after, []byte("default:"+tokens[0])) {
		t.Fatal("the append-only file does not name the sessions any more, so this test would see nothing")
	}
	for token, value := range sealed {
		if bytes.Contains(after, value) {
			t.Errorf("the sealed result of %s is in the append-only file after a rewrite", token)
		}
	}
}

// appendOnlyFiles is all that Redis keeps on disk.
func (w *world) appendOnlyFiles() []byte {
	w.t.Helper()
	var all []byte
	files, err := filepath.Glob(filepath.Join(w.redis.Dir, "appendonlydir", "*"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no append-only files: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) { // a rewrite has just replaced it
			w.t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}
