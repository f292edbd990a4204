package redistest

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// member is what a node of a cluster knows of a node: one line of CLUSTER NODES.
type member struct {
	id, addr string
	flags    []string
	master   string // the id of its master, "-" if it is one
	epoch    int    // grows with each change of who has which slots
	ranges   []string
}

type members []member

// of returns the member at an address, or one that has nothing.
func (all members) of(addr string) member {
	for _, m := range all {
		if m.addr == addr {
			return m
		}
	}
	return member{}
}

func (m member) is(flag string) bool { return slices.Contains(m.flags, flag) }

// slots are those that the member is the master of.
func (m member) slots() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range m.ranges {
			from, to, isRange := strings.Cut(r, "-")
			if !isRange {
				to = from
			}
			first, _ := strconv.Atoi(from)
			last, _ := strconv.Atoi(to)
			for slot := first; slot <= last; slot++ {
				if !yield(slot) {
					return
				}
			}
		}
	}
}

// members asks a node which nodes it knows, itself too. They are none if it does
// not answer.
func (s *Server) members() members {
	var all members
	text, _ := s.ask("CLUSTER", "NODES")
	for line := range strings.Lines(asText(text)) {
		// id host:port@bus flags master ping pong epoch link slots…
		fields := strings.Fields(line)
		m := member{id: fields[0], flags: strings.Split(fields[2], ","), master: fields[3]}
		m.addr, _, _ = strings.Cut(fields[1], "@")
		m.epoch, _ = strconv.Atoi(fields[6])
		for _, r := range fields[8:] {
			if !strings.HasPrefix(r, "[") { // a slot that is on its way is still there
				m.ranges = append(m.ranges, r)
			}
		}
		all = append(all, m)
	}
	return all
}

// id is the name that a node has in its cluster.
func (s *Server) id() string { return s.must("CLUSTER", "MYID").(string) }

// says reports whether a node's answer has a text in it.
func (s *Server) says(text string, question ...any) bool {
	answer, _ := s.ask(question...)
	return strings.Contains(asText(answer), text)
}

func asText(answer any) string {
	text, _ := answer.(string)
	return text
}

// ask makes one call over a connection of its own.
func (s *Server) ask(args ...any) (any, error) {
	rdb := redis.NewClient(&redis.Options{
		Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second, ReadTimeout: time.Second,
	})
	defer rdb.Close() //nolint:errcheck // a test's own client
	return rdb.Do(context.Background(), args...).Result()
}

// must makes one call that has to succeed.
func (s *Server) must(args ...any) any {
	s.tb.Helper()
	answer, err := s.ask(args...)
	if err != nil {
		s.tb.Fatalf("%v at %s: %v", args, s.Addr, err)
	}
	return answer
}

// runs reports whether the server was not ended.
func (s *Server) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd != nil
}
