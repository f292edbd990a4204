package hosts

import (
	"container/heap"
	"time"
)

// entry is one event in the list of its host.
type entry struct {
	Event
	host    *host
	key     time.Time // what its queue orders by
	order   uint64    // the same among equal keys: who came first
	soonest time.Time // no turn before this
	asked   bool      // by the receiver, for that pause
	came    time.Time // when it joined the list
	ends    time.Time // it leaves the list then
	queue   *queue    // that it is in
	place   int       // in its queue
}

// queue is a heap of entries, the earliest key first.
type queue struct{ entries []*entry }

var _ heap.Interface = (*queue)(nil)

func (q *queue) first() *entry {
	if len(q.entries) == 0 {
		return nil
	}
	return q.entries[0]
}

func (q *queue) add(e *entry, key time.Time) {
	e.key, e.queue = key, q
	heap.Push(q, e)
}

func (q *queue) remove(e *entry) { heap.Remove(q, e.place) }

// Len is called by container/heap.
func (q *queue) Len() int { return len(q.entries) }

// Less is called by container/heap.
func (q *queue) Less(i, j int) bool {
	if c := q.entries[i].key.Compare(q.entries[j].key); c != 0 {
		return c < 0
	}
	return q.entries[i].order < q.entries[j].order
}

// Swap is called by container/heap.
func (q *queue) Swap(i, j int) {
	q.entries[i], q.entries[j] = q.entries[j], q.entries[i]
	q.entries[i].place, q.entries[j].place = i, j
}

// Push is called by container/heap.
func (q *queue) Push(x any) {
	e := x.(*entry) //nolint:forcetypeassert // the heap holds nothing else
	e.place = len(q.entries)
	q.entries = append(q.entries, e)
}

// Pop is called by container/heap.
func (q *queue) Pop() any {
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries[last] = nil
	q.entries = q.entries[:last]
	e.queue = nil
	return e
}
