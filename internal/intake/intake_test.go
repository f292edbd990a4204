package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/identwatch/identwatch/tasks"
)

// queue answers for each token what its script says, try by try, and then nil.
type queue struct {
	mu     sync.Mutex
	script map[string][]error
	tries  map[string]int
	block  chan struct{} // nil answers at once
}

func (q *queue) Enqueue(ctx context.Context, s tasks.Session) error {
	if q.block != nil {
		<-q.block
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tries == nil {
		q.tries = map[string]int{}
	}
	try := q.tries[s.Token]
	q.tries[s.Token]++
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if try < len(q.script[s.Token]) {
		return q.script[s.Token][try]
	}
	return s.Validate()
}

var errLost = errors.New("the answer was lost")

// enqueue runs an intake and returns the refused tokens.
func enqueue(t *testing.T, ctx context.Context, q *queue, tokens ...string) (Tally, []string, error) {
	t.Helper()
	var refused []string
	in := &Intake{Queue: q, Template: tasks.Session{Method: tasks.SmartID}, Refused: func(item Item, _ error) {
		refused = append(refused, item.Token)
	}}
	err := in.Run(ctx, Tokens(tokens))
	return in.Tally(), refused, err
}

func TestRun_CountsAndRefuses(t *testing.T) {
	t.Parallel()
	q := &queue{script: map[string][]error{"known": {tasks.ErrDuplicate}}}
	tally, refused, err := enqueue(t, t.Context(), q, "a", "known", "not a token", "b")
	slices.Sort(refused)
	if err != nil || tally != (Tally{Enqueued: 2, Refused: 2}) || !slices.Equal(refused, []string{"known", "not a token"}) {
		t.Errorf("got %+v, %q, %v", tally, refused, err)
	}
	if q.tries["known"] != 1 {
		t.Errorf("a duplicate was tried %d times", q.tries["known"])
	}
}

func TestRun_DuplicateAfterALostAnswerIsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{script: map[string][]error{"a": {errLost, tasks.ErrDuplicate}, "b": {errLost, errLost, nil}}}
		tally, refused, err := enqueue(t, t.Context(), q, "a", "b")
		if err != nil || tally != (Tally{Enqueued: 2}) || len(refused) != 0 {
			t.Errorf("got %+v, %q, %v", tally, refused, err)
		}
	})
}

func TestRun_EndsWhereRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{script: map[string][]error{"down": slices.Repeat([]error{errLost}, 100)}}
		var tokens []string
		for i := range 1000 {
			tokens = append(tokens, fmt.Sprintf("t%d", i))
		}
		tally, _, err := enqueue(t, t.Context(), q, append([]string{"down"}, tokens...)...)
		if !errors.Is(err, errLost) || tally.Refused != 0 || q.tries["down"] != tries {
			t.Errorf("got %+v, %v after %d tries", tally, err, q.tries["down"])
		}
	})
}

func TestRun_CountsWhatIsUnderWayWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := &queue{block: make(chan struct{})}
		go func() {
			synctest.Wait()
			cancel()
			close(q.block)
		}()
		tokens := strings.Fields(strings.Repeat("t ", 1000))
		tally, _, err := enqueue(t, ctx, q, tokens...)
		if !errors.Is(err, context.Canceled) || tally.Enqueued != workers {
			t.Errorf("got %+v, %v, want the %d that were under way", tally, err, workers)
		}
	})
}

func TestRun_ReportsAStreamThatBreaks(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("a\nb\n"), iotest.ErrReader(errLost))
	in := &Intake{Queue: &queue{}, Template: tasks.Session{Method: tasks.SmartID}, Refused: func(Item, error) {}}
	if err := in.Run(t.Context(), Lines(broken)); !errors.Is(err, errLost) {
		t.Errorf("got %v", err)
	}
}

func TestLines_ReadOneTokenEach(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for name, test := range map[string]struct {
		input string
		want  []string // line:token, with ! where it is refused
	}{
		"empty":              {"", nil},
		"blank":              {"\n \n\t\r\n", nil},
		"no newline at end":  {"a\nb", []string{"1:a", "2:b"}},
		"CRLF and spaces":    {" a \r\n\r\nb\r\n", []string{"1:a", "3:b"}},
		"long":               {"a\n" + long + "\nb\n", []string{"1:a", "2:" + long + "!", "3:b"}},
		"very long":          {strings.Repeat("x", 10*maxLine) + "\nb", []string{"1:" + long + "!", "2:b"}},
		"long at the end":    {"a\n" + long + "xyz", []string{"1:a", "2:" + long + "!"}},
		"just long enough":   {long[1:] + "\nb", []string{"1:" + long[1:], "2:b"}},
		"just fits, no end":  {long[1:], []string{"1:" + long[1:]}},
		"full at its end":    {long, []string{"1:" + long + "!"}},
		"long and then more": {long + "xyz\n" + long + "\n\nc\n", []string{"1:" + long + "!", "2:" + long + "!", "4:c"}},
	} {
		for _, reader := range []io.Reader{strings.NewReader(test.input), iotest.OneByteReader(strings.NewReader(test.input))} {
			var got []string
			for item := range Lines(reader) {
				mark := ""
				if item.Refusal != nil {
					mark = "!"
				}
				got = append(got, fmt.Sprintf("%d:%s%s", item.Line, item.Token, mark))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: got %.200q, want %.200q", name, got, test.want)
			}
		}
	}
}
