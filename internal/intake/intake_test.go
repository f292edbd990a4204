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
	groups []int         // their sizes
	block  chan struct{} // nil answers at once
}

func (q *queue) EnqueueMany(ctx context.Context, sessions []tasks.Session) (results []error) {
	q.mu.Lock()
	q.groups = append(q.groups, len(sessions))
	q.mu.Unlock()
	if q.block != nil {
		<-q.block
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range sessions {
		results = append(results, q.enqueue(ctx, s))
	}
	return results
}

func (q *queue) enqueue(ctx context.Context, s tasks.Session) error {
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
	slices.Sort(refused) // two groups may be under way
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
		for token, n := range q.tries {
			if token != "down" && n != 1 {
				t.Errorf("%s was answered, and tried %d times", token, n)
			}
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
		tokens := strings.Fields(strings.Repeat("t ", 10*workers*groupSize))
		tally, _, err := enqueue(t, ctx, q, tokens...)
		underWay := 0
		for _, size := range q.groups {
			underWay += size
		}
		if !errors.Is(err, context.Canceled) || len(q.groups) != workers || tally.Enqueued != underWay {
			t.Errorf("got %+v, %v, want the %d of %d groups that were under way", tally, err, underWay, workers)
		}
	})
}

func TestRun_GroupsWhatIsThereAndWaitsForNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		in := &Intake{Queue: q, Template: tasks.Session{Method: tasks.SmartID}, Refused: func(Item, error) {}}
		const many = 10 * groupSize
		err := in.Run(t.Context(), func(yield func(Item) bool) {
			yield(Item{Token: "typed"})
			synctest.Wait()
			if in.Tally() != (Tally{Enqueued: 1}) {
				t.Errorf("somebody typed a token and waits: %+v", in.Tally())
			}
			for i := range many {
				yield(Item{Token: fmt.Sprint("t", i)})
			}
		})
		if err != nil || in.Tally() != (Tally{Enqueued: 1 + many}) || slices.Max(q.groups) > groupSize || len(q.groups) > many/2 {
			t.Errorf("%+v, %v, in groups of %v", in.Tally(), err, q.groups)
		}
	})
}

// What stands before the end of a stream that breaks is in.
func TestRun_ReportsAStreamThatBreaks(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("a\nb\n"), iotest.ErrReader(errLost))
	in := &Intake{Queue: &queue{}, Template: tasks.Session{Method: tasks.SmartID}, Refused: func(Item, error) {}}
	if err := in.Run(t.Context(), Lines(broken)); !errors.Is(err, errLost) || in.Tally() != (Tally{Enqueued: 2}) {
		t.Errorf("got %+v, %v", in.Tally(), err)
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
