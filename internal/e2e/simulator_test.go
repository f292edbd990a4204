package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
)

// simulator is `identwatch simulate`, a process of its own, so that many polls
// do not pass through the race detector of the tests.
type simulator struct {
	url     string
	setting string // for serve
	tokens  []string

	known map[string]marksim.Snapshot
	asked time.Time
}

// simulate starts the simulator with sessions, and says when their persons
// confirm: from,to.
func (w *world) simulate(sessions int, confirm string) *simulator {
	w.t.Helper()
	dir := w.t.TempDir()
	list, out := filepath.Join(dir, "tokens"), filepath.Join(dir, "out")
	file, err := os.Create(out)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(binary, "simulate", "--listen", "127.0.0.1:0", "--confirm-between", confirm,
		"--access-token", w.secrets.accessToken,
		"--sessions", strconv.Itoa(sessions), "--sessions-file", list)
	cmd.Stdout = file
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = file.Close() })
	s := new(simulator)
	eventually(w.t, time.Minute, "the simulator has started its sessions", func() bool {
		said, _ := os.ReadFile(out)
		_, rest, found := strings.Cut(string(said), "simulated MarkSign at ")
		tokens, _ := os.ReadFile(list)
		s.tokens = strings.Fields(string(tokens))
		s.url, _, _ = strings.Cut(rest, ": ")
		return found && len(s.tokens) == sessions
	})
	s.setting = "MARKSIGN_URL=" + s.url
	w.snapshot = s.snapshot
	return s
}

// sessions asks how the sessions stand.
func (s *simulator) sessions() (map[string]marksim.Snapshot, error) {
	res, err := http.Get(s.url + "/simulator/sessions")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var list []struct {
		Token       string          `json:"token"`
		Outcome     marksim.Outcome `json:"outcome"`
		Polls       int             `json:"polls"`
		FinalAt     time.Time       `json:"final_at"`
		FinalSeenAt time.Time       `json:"final_seen_at"`
		Removes     int             `json:"removes"`
		RemovedAt   time.Time       `json:"removed_at"`
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return nil, err
	}
	known := make(map[string]marksim.Snapshot, len(list))
	for _, one := range list {
		known[one.Token] = marksim.Snapshot{
			Token: one.Token, Outcome: one.Outcome, Polls: one.Polls, FinalAt: one.FinalAt, FinalSeenAt: one.FinalSeenAt,
			Removes: one.Removes, RemovedAt: one.RemovedAt,
		}
	}
	return known, nil
}

// snapshot is how a session stood within the last half second.
func (s *simulator) snapshot(token string) marksim.Snapshot {
	if time.Since(s.asked) > 500*time.Millisecond {
		if known, err := s.sessions(); err == nil {
			s.known, s.asked = known, time.Now()
		}
	}
	return s.known[token]
}

// polls returns how many polls each session got.
func (s *simulator) polls() (total, least int, err error) {
	known, err := s.sessions()
	if err != nil {
		return 0, 0, err
	}
	least = known[s.tokens[0]].Polls
	for _, one := range known {
		total, least = total+one.Polls, min(least, one.Polls)
	}
	return total, least, nil
}
