package outcome

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/identwatch/identwatch/internal/redisnode"
	sess "github.com/identwatch/identwatch/internal/session"
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
	found := make(map[string]Entry, len(ids))
	for batch := range s.batches(ids, len(ids)) {
		hashes, err := peekScript.Run(ctx, s.cfg.Redis, s.keysOf(batch)).Slice()
		if err != nil {
			return nil, fmt.Errorf("the sessions' records: %w", err)
		}
		for i, id := range batch {
			entry := Entry{ID: id}
			if pairs, _ := hashes[i].([]any); len(pairs) > 0 {
				entry.Err = entry.fill(fieldsOf(pairs))
			}
			found[id] = entry
		}
	}
	entries := make([]Entry, len(ids))
	for i, id := range ids {
		entries[i] = found[id]
	}
	return entries, nil
}

func (s *Store) keysOf(ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.key(id)
	}
	return keys
}

// List yields the records of an account or, with "", of all accounts, in no
// order. What is there from the beginning to the end of the reading comes at least
// once, and seldom twice. An error of Redis ends the list.
func (s *Store) List(ctx context.Context, account string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, shard := range s.cfg.Shards.All() {
			if !s.listShard(ctx, shard, account, yield) {
				return
			}
		}
	}
}

// listShard reports whether the list goes on.
func (s *Store) listShard(ctx context.Context, shard sess.Shard, account string, yield func(Entry, error) bool) bool {
	match := shard.Key("*")
	if account != "" {
		match = shard.Key(account + ":*")
	}
	node, err := redisnode.Of(ctx, s.cfg.Redis, shard.Key(""))
	for cursor, more := uint64(0), err == nil; more; more = cursor != 0 {
		var keys []string
		if keys, cursor, err = node.ScanType(ctx, cursor, match, scanPage, "hash").Result(); err != nil {
			break
		}
		if !s.yieldRecords(ctx, idsOf(shard, keys), yield) {
			return false
		}
	}
	if err != nil {
		yield(Entry{}, fmt.Errorf("looking for records: %w", err))
	}
	return err == nil
}

// idsOf are the sessions whose records the keys name.
func idsOf(shard sess.Shard, keys []string) []string {
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		if id := strings.TrimPrefix(key, shard.Key("")); strings.Count(id, ":") == 1 {
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
	var without []string
	for batch := range s.batches(ids, len(ids)) {
		places, err := unrecordedScript.Run(ctx, s.cfg.Redis, s.keysOf(batch)).Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("the sessions' records: %w", err)
		}
		for _, place := range places {
			without = append(without, batch[place-1])
		}
	}
	return without, nil
}
