package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/shards"
)

// places says where the shards of a cluster are.
type places struct {
	unserved []int // shards whose slot no node has
	silent   []int // shards of masters that do not answer
	masters  int   // how many that answer have a shard
}

// askShards compares the number of shards, and looks at where they are. The masters are
// those that answer.
func askShards(ctx context.Context, rdb redis.UniversalClient, own session.Shards, masters []redisinfo.Master) finding {
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, shards.Check(ctx, rdb, own) })
	if errors.Is(err, shards.ErrOther) {
		return failedBy(err, "set SHARDS to what this Redis has")
	}
	f := finding{OK, countShards(own), ""}
	if cluster, isCluster := rdb.(*redis.ClusterClient); isCluster {
		found, placesErr := within(ctx, func(ctx context.Context) (places, error) { return findPlaces(ctx, cluster, own, masters) })
		if placesErr != nil {
			return failedBy(placesErr, "let the user of REDIS_URL run CLUSTER SLOTS and CLUSTER KEYSLOT")
		}
		f = found.judge(f.detail)
	}
	if err != nil { // the key belongs to no shard: what was found is worth more
		f.status = Failed
		f.detail += "; " + failedBy(err, "").detail
		if f.advice == "" {
			f.advice = "see that the master of the key identwatch:shards runs; without it no process of identwatch starts"
		}
	}
	return f
}

func countShards(own session.Shards) string {
	if n := own.Count(); n > 1 {
		return fmt.Sprint(n, " shards")
	}
	return "1 shard"
}

func (p places) judge(count string) finding {
	f := finding{OK, count, ""}
	switch {
	case len(p.silent)+len(p.unserved) > 0:
	case p.masters == 1:
		f.detail += " on 1 master"
	default:
		f.detail += fmt.Sprintf(" on %d masters", p.masters)
	}
	if len(p.silent) > 0 {
		f.status, f.advice = Failed, "see that each master runs and has a replica"
		f.detail += fmt.Sprintf("; the master of %s does not answer, so sessions wait", nameShards(p.silent))
	}
	if len(p.unserved) > 0 {
		f.status, f.advice = Failed, "give all slots to masters, for example with redis-cli --cluster fix"
		f.detail += fmt.Sprintf("; no master has the slot of %s, so sessions wait", nameShards(p.unserved))
	}
	return f
}

// findPlaces asks a master that answers.
func findPlaces(ctx context.Context, cluster *redis.ClusterClient, own session.Shards, masters []redisinfo.Master) (places, error) {
	ranges, err := masters[0].Client.ClusterSlots(ctx).Result()
	if err != nil {
		return places{}, err
	}
	var p places
	var with []string // addresses of masters that have a shard
	for _, shard := range own.All() {
		slot, err := masters[0].Client.ClusterKeySlot(ctx, shard.Key("")).Result()
		if err != nil {
			return places{}, err
		}
		if !slices.ContainsFunc(ranges, func(r redis.ClusterSlot) bool { return int64(r.Start) <= slot && slot <= int64(r.End) }) {
			p.unserved = append(p.unserved, shard.Number())
			continue
		}
		node, err := cluster.MasterForKey(ctx, shard.Key(""))
		if err != nil {
			return places{}, err
		}
		addr := node.Options().Addr
		if !slices.ContainsFunc(masters, func(m redisinfo.Master) bool { return m.Addr == addr }) {
			p.silent = append(p.silent, shard.Number())
		} else if !slices.Contains(with, addr) {
			with = append(with, addr)
		}
	}
	p.masters = len(with)
	return p, nil
}
