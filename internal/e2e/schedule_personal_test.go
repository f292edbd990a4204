//go:build unix

package e2e

import (
	"strings"

	"github.com/identwatch/identwatch/internal/redistest"
)

// checkNothingPersonal searches the logs and Redis for what must not be there.
func (s *stage) checkNothingPersonal() {
	search := s.secretsSearch()
	dump, err := redistest.Dump(s.ctx, s.rdb)
	if err != nil {
		s.t.Error(err)
	}
	logs := s.logs()
	for name, text := range map[string]string{"the logs": logs, "Redis": dump, "the files of Redis": s.redisFiles()} {
		if found := search.find([]byte(text)); len(found) > 0 {
			s.t.Errorf("%s (%d bytes) shows %v", name, len(text), found)
		}
		if len(text) < 1000 {
			s.t.Errorf("%s holds hardly anything (%d bytes), so the search shows nothing", name, len(text))
		}
	}
	for _, what := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "a defect in identwatch"} {
		if strings.Contains(logs, what) {
			s.t.Errorf("a log says %q", what)
		}
	}
}
