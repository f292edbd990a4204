package admin

import (
	"context"
	"strings"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/session"
)

// Outstanding is how many sessions of all accounts wait for a worker or are
// followed. It asks each shard once or twice, for the sizes of lists.
func (s *Sessions) Outstanding(ctx context.Context) (int, error) {
	all := 0
	for _, queue := range s.following.All() {
		sizes, err := queue.Sizes(ctx)
		if err != nil {
			return 0, err
		}
		for _, state := range []string{"pending", "active", "scheduled", "retry"} {
			all += int(sizes.Tasks[state])
		}
	}
	return all, nil
}

// OutstandingOf is how many those are of each of the accounts. It reads all of their
// names. A session whose task changes lists meanwhile may be missed or count twice.
func (s *Sessions) OutstandingOf(ctx context.Context, accounts []string) (map[string]int, error) {
	of := make(map[string]int, len(accounts))
	for _, account := range accounts {
		of[account] = 0
	}
	for _, queue := range s.following.All() {
		for ids, err := range queue.Outstanding(ctx) {
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				account, _, _ := strings.Cut(id, ":")
				if n, asked := of[account]; asked {
					of[account] = n + 1
				}
			}
		}
	}
	return of, nil
}

// Known is how many of the sessions were enqueued and are not forgotten, however
// they stand, so that to enqueue them is a duplicate. None may be named twice.
func (s *Sessions) Known(ctx context.Context, names []session.Name) (int, error) {
	of := make(map[*lease.Queue][]string)
	for _, name := range names {
		queue := s.following.Of(name.ID())
		of[queue] = append(of[queue], name.ID())
	}
	known := 0
	for queue, ids := range of {
		n, err := queue.CountKnown(ctx, ids)
		if err != nil {
			return 0, err
		}
		known += n
	}
	return known, nil
}
