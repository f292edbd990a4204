package tasks

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/shards"
)

// TestEnqueue_SaysWhichMasterIsAway runs itself as an application on a cluster that has
// lost a master, and looks at what go-redis writes, too.
func TestEnqueue_SaysWhichMasterIsAway(t *testing.T) {
	t.Parallel()
	if url := os.Getenv("IDENTWATCH_TEST_CLUSTER"); url != "" {
		enqueueEverywhere(t, url, os.Getenv("IDENTWATCH_TEST_AWAY"))
		return
	}
	c := redistest.StartCluster(t, 3, 0)
	layout, err := session.NewShards(shards.OnCluster)
	if err != nil {
		t.Fatal(err)
	}
	var away *redistest.Server
	for _, shard := range layout.All() {
		if node := c.MasterOf(shard.Key("")); node != c.MasterOf("identwatch:shards") { // which every client reads first
			away = node
		}
	}
	away.Kill()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnqueue_SaysWhichMasterIsAway$")
	cmd.Env = append(os.Environ(), "IDENTWATCH_TEST_CLUSTER="+c.URL(), "IDENTWATCH_TEST_AWAY="+away.Addr)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: %s%s", err, &stdout, &stderr)
	}
}

// enqueueEverywhere enqueues sessions of all shards.
func enqueueEverywhere(t *testing.T, url, away string) {
	t.Helper()
	client, err := NewClient(ClientConfig{RedisURL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	in, failed := 0, 0
	for i := range 24 {
		s := valid()
		s.Token = fmt.Sprint("token", i)
		err := client.Enqueue(t.Context(), s)
		if err == nil {
			in++
			continue
		}
		failed++
		if !strings.Contains(err.Error(), "enqueueing the session: Redis cannot be reached: dial tcp "+away+": connect: connection refused; see that it runs") {
			t.Errorf("got %v", err)
		}
	}
	if in == 0 || failed == 0 {
		t.Errorf("%d are in, %d failed", in, failed)
	}
}
