package session

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// MaxShards is the most that sessions can be spread over.
const MaxShards = 256

// Shards says over how many shards the sessions of a Redis are spread. Each shard has
// queues and records of its own, and all its keys share one hash slot, so that it lives
// on one node of a Redis Cluster. The zero Shards is one shard, whose keys have no hash
// tag of ours: those are the names of a Redis that is no cluster.
//
// Shards is part of the data: with another number a session has another shard, and
// nobody finds it.
type Shards struct{ more int } // beside the first

// NewShards makes the Shards of 1 to MaxShards.
func NewShards(n int) (Shards, error) {
	if n < 1 || n > MaxShards {
		return Shards{}, fmt.Errorf("is %d, but there are 1 to %d shards", n, MaxShards)
	}
	return Shards{n - 1}, nil
}

// Count is how many shards there are, at least 1.
func (s Shards) Count() int { return s.more + 1 }

// Of is the shard of the session with this [Name.ID].
func (s Shards) Of(id string) Shard {
	if s.more == 0 {
		return Shard{}
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id))                         // it never fails
	return s.shard(int(hash.Sum32() % uint32(s.Count()))) //nolint:gosec // at most MaxShards
}

// All are the shards, in the order of their numbers.
func (s Shards) All() []Shard {
	all := make([]Shard, s.Count())
	for n := range all {
		all[n] = s.shard(n)
	}
	return all
}

func (s Shards) shard(n int) Shard {
	if s.more == 0 {
		return Shard{}
	}
	return Shard{number: n, tag: prefix + "-" + strconv.Itoa(n)}
}

// prefix begins the names of all our keys and queues.
const prefix = "identwatch"

// Shard names the keys and queues of one shard.
type Shard struct {
	number int
	tag    string // the hash tag; "" for the only shard
}

// Number is from 0 to Count() - 1.
func (s Shard) Number() int { return s.number }

// Key is the name of a key of the shard.
func (s Shard) Key(rest string) string {
	if s.tag == "" {
		return prefix + ":" + rest
	}
	return "{" + s.tag + "}:" + rest
}

// Queue is what the shard calls a queue that the only shard would call name, which
// begins with "identwatch-". asynq puts a queue's name between braces, and Redis takes
// what stands before the first closing brace for the hash tag: the name holds one, so
// that all queues of the shard share the slot of its other keys.
func (s Shard) Queue(name string) string {
	if s.tag == "" {
		return name
	}
	return s.tag + queueMark + strings.TrimPrefix(name, prefix+"-")
}

const queueMark = "}:"

// SplitQueue returns what the only shard would call a queue, and the number of the
// queue's shard. A name that no shard gives comes back as it is, with 0.
func SplitQueue(queue string) (name string, number int) {
	tag, kind, sharded := strings.Cut(queue, queueMark)
	digits, ours := strings.CutPrefix(tag, prefix+"-")
	number, err := strconv.Atoi(digits)
	if !sharded || !ours || err != nil {
		return queue, 0
	}
	return prefix + "-" + kind, number
}
