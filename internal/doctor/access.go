package doctor

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/redisinfo"
)

// askAccess finds out whether Redis takes anybody, by asking it without a
// password, and whether others on the way can read what is said.
func askAccess(ctx context.Context, masters []redisinfo.Master) finding {
	seen, err := askEach(ctx, masters, lookAtAccess)
	if err != nil {
		return failedBy(err, "see that Redis takes one more connection")
	}
	var flaws [][]redisinfo.Flaw
	for _, s := range seen {
		flaws = append(flaws, s.flaws())
	}
	return judgeAccess(seen[0], redisinfo.Merge(masters, flaws))
}

// access is how one Redis can be reached.
type access struct {
	unknown, socket bool
	open            bool // to anybody
	encrypted       bool
	where           netip.Addr // the zero Addr if it is not known
}

func lookAtAccess(ctx context.Context, rdb redis.UniversalClient) (access, error) {
	client, known := rdb.(*redis.Client)
	if !known {
		return access{unknown: true}, nil
	}
	opts := *client.Options()
	if opts.Network == "unix" {
		return access{socket: true}, nil
	}
	var remote atomic.Value
	stranger := redis.NewClient(strangersOptions(opts, &remote))
	defer func() { _ = stranger.Close() }()
	open, err := takesAnybody(ctx, stranger)
	where, _ := remote.Load().(netip.Addr)
	return access{open: open, encrypted: opts.TLSConfig != nil, where: where}, err
}

// strangersOptions are those of somebody who knows no password. The address that
// is connected to goes into remote.
func strangersOptions(opts redis.Options, remote *atomic.Value) *redis.Options {
	opts.Username, opts.Password = "", ""
	opts.CredentialsProvider, opts.CredentialsProviderContext, opts.StreamingCredentialsProvider = nil, nil, nil
	opts.PoolSize, opts.MinIdleConns, opts.MaxRetries = 1, 0, -1
	dial := opts.Dialer
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			if at, parseErr := netip.ParseAddrPort(conn.RemoteAddr().String()); parseErr == nil {
				remote.Store(at.Addr().Unmap())
			}
		}
		return conn, err
	}
	return &opts
}

// takesAnybody reports whether Redis answers without a password.
func takesAnybody(ctx context.Context, stranger *redis.Client) (bool, error) {
	err := stranger.Ping(ctx).Err()
	if redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "WRONGPASS") {
		return false, nil
	}
	return err == nil, err
}

// flaws are what is unsafe about the access.
func (a access) flaws() []redisinfo.Flaw {
	var flaws []redisinfo.Flaw
	if a.open {
		flaws = append(flaws, redisinfo.Flaw{
			Problem: "Redis takes anybody without a password, who may then read tokens, delete sessions and enqueue others",
			Remedy:  "give Redis a password, and write it into REDIS_URL",
		})
	}
	if !a.encrypted && a.where.IsValid() && !address.IsPrivate(a.where) {
		flaws = append(flaws, redisinfo.Flaw{
			Problem: "the way to Redis at " + a.where.String() + " is not encrypted, and leads out of private networks",
			Remedy:  "use rediss://, rediss-sentinel:// behind Sentinel, or rediss-cluster:// for a cluster",
		})
	}
	return flaws
}

// judgeAccess takes how one Redis can be reached, and the flaws of all.
func judgeAccess(one access, flaws []redisinfo.Flaw) finding {
	if flaws != nil {
		var problems, remedies []string
		for _, flaw := range flaws {
			problems = append(problems, flaw.Problem)
			if !slices.Contains(remedies, flaw.Remedy) {
				remedies = append(remedies, flaw.Remedy)
			}
		}
		return finding{Warning, strings.Join(problems, "; "), strings.Join(remedies, "; ")}
	}
	switch {
	case one.unknown:
		return finding{Skipped, "this client of Redis shows no options", ""}
	case one.socket:
		return finding{OK, "Redis is reached over a Unix socket, which the rights of its file protect", ""}
	case one.encrypted:
		return finding{OK, "Redis asks for a password, and the way to it is encrypted", ""}
	}
	return finding{OK, "Redis asks for a password", ""}
}
