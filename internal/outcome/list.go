package outcome

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// scanPage is how many keys Redis looks at, and about how many records it reads,
// before it answers others.
const scanPage = 500

// Entry is a record that was read without its sealed result, and without the
// time of reading it.
type Entry struct {
	ID string // account:token
	Record
	Err error // ErrRecordVersion, or nil
}

// Peek reads records, in the order of the ids. The state is None if there is
// no record.
func (s *Store) Peek(ctx context.Context, ids ...string) ([]Entry, error) {
	entries := make([]Entry, len(ids))
	if len(ids) == 0 {
		return entries, nil
	}
	hashes, err := peekScript.Run(ctx, s.cfg.Redis, keysOf(ids)).Slice()
	if err != nil {
		return nil, fmt.Errorf("the sessions' records: %w", err)
	}
	for i, id := range ids {
		entries[i].ID = id
		if pairs, _ := hashes[i].([]any); len(pairs) > 0 {
			entries[i].Err = entries[i].fill(fieldsOf(pairs))
		}
	}
	return entries, nil
}

func keysOf(ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = keyPrefix + id
	}
	return keys
}

// List yields the records of an account or, with "", of all accounts, in no
// order. What is there from the beginning to the end of the reading comes at least
// once, and seldom twice. An error of Redis ends the list.
func (s *Store) List(ctx context.Context, account string) iter.Seq2[Entry, error] {
	match := keyPrefix + "*"
	if account != "" {
		match = keyPrefix + account + ":*"
	}
	return func(yield func(Entry, error) bool) {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			keys, next, err := s.cfg.Redis.ScanType(ctx, cursor, match, scanPage, "hash").Result()
			if err != nil {
				yield(Entry{}, fmt.Errorf("looking for records: %w", err))
				return
			}
			cursor = next
			if !s.yieldRecords(ctx, idsOf(keys), yield) {
				return
			}
		}
	}
}

// idsOf are the sessions whose records the keys name.
func idsOf(keys []string) []string {
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		if id := strings.TrimPrefix(key, keyPrefix); strings.Count(id, ":") == 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

// yieldRecords reports whether the list goes on.
func (s *Store) yieldRecords(ctx context.Context, ids []string, yield func(Entry, error) bool) bool {
	entries, err := s.Peek(ctx, ids...)
	if err != nil {
		yield(Entry{}, err)
		return false
	}
	for _, entry := range entries {
		gone := entry.State == None && entry.Err == nil // since it was found
		if !gone && !yield(entry, nil) {
			return false
		}
	}
	return true
}

// Unrecorded returns those of the sessions that have no record.
func (s *Store) Unrecorded(ctx context.Context, ids []string) ([]string, error) {
	places, err := unrecordedScript.Run(ctx, s.cfg.Redis, keysOf(ids)).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("the sessions' records: %w", err)
	}
	without := make([]string, len(places))
	for i, place := range places {
		without[i] = ids[place-1]
	}
	return without, nil
}
