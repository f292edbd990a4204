package desk

import (
	"container/list"
	"crypto/rand"
	"encoding/json"
	"sync"
)

// document is the newest state of one thing that the page shows.
type document struct {
	kind    string // the name of its server-sent event
	version uint64
	data    []byte // JSON
}

// feed holds the newest state of everything that the page shows. Whoever reads it
// says up to which version they know it, and gets what is newer: however slow they
// are, they hold up nobody, and nothing piles up for them. It is safe for
// concurrent use.
type feed struct {
	epoch string // versions of other processes mean nothing here

	mu      sync.Mutex
	version uint64
	docs    *list.List // of document, by version
	byKey   map[string]*list.Element
	changed chan struct{} // closed by the next change
}

func newFeed() *feed {
	return &feed{epoch: rand.Text()[:8], docs: list.New(), byKey: map[string]*list.Element{}, changed: make(chan struct{})}
}

// put replaces the document of a key. What is put can always be JSON.
func (f *feed) put(kind, key string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic("desk: " + kind + " is no JSON")
	}
	key = kind + " " + key
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.byKey[key]; old != nil {
		f.docs.Remove(old)
	}
	f.version++
	f.byKey[key] = f.docs.PushBack(document{kind, f.version, data})
	close(f.changed)
	f.changed = make(chan struct{})
}

// drop forgets a document, which those who have it may keep.
func (f *feed) drop(kind, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key = kind + " " + key
	if old := f.byKey[key]; old != nil {
		f.docs.Remove(old)
		delete(f.byKey, key)
	}
}

// since returns what is newer than a version, oldest first, and a channel that
// the next change closes.
func (f *feed) since(version uint64) (newer []document, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := f.docs.Back()
	for from != nil && from.Prev() != nil && from.Prev().Value.(document).version > version { //nolint:forcetypeassert // nothing else is in it
		from = from.Prev()
	}
	for e := from; e != nil; e = e.Next() {
		if d, ok := e.Value.(document); ok && d.version > version {
			newer = append(newer, d)
		}
	}
	return newer, f.changed
}
