//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// history is what Redis wrote of a session, by its append-only file: what is left
// of it where Redis lost the end.
func (s *stage) history(token string) string {
	node := s.redis
	if s.cluster != nil {
		if node = s.cluster.primary(); node == nil {
			return ""
		}
	}
	path := newestAppendOnly(node.Dir)
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, c := range commands(text) {
		if strings.Contains(c.said, token) {
			fmt.Fprintf(&b, "  %s %s\n", c.at.Format(clock), c.said)
		}
	}
	return "in Redis:\n" + b.String()
}

// written is one command of an append-only file.
type written struct {
	at   time.Time // in whole seconds
	said string
}

// commands reads an append-only file as far as it can be read.
func commands(text []byte) []written {
	var all []written
	var at time.Time
	in := bufio.NewReader(bytes.NewReader(text))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return all
		}
		if stamp, found := strings.CutPrefix(line, "#TS:"); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
			at = time.Unix(n, 0).UTC()
			continue
		}
		n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "*")))
		words := make([]string, 0, n)
		for range n {
			head, _ := in.ReadString('\n')
			size, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
			word := make([]byte, size+2)
			if _, err := io.ReadFull(in, word); err != nil {
				return all
			}
			words = append(words, fmt.Sprintf("%.60q", word[:size]))
		}
		all = append(all, written{at, strings.Join(words, " ")})
	}
}
