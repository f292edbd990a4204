package doctor

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/address"
)

// askAccess finds out whether Redis takes anybody, by asking it without a
// password, and whether others on the way can read what is said.
func askAccess(ctx context.Context, rdb redis.UniversalClient) finding {
	client, known := rdb.(*redis.Client)
	if !known {
		return finding{Skipped, "this client of Redis shows no options", ""}
	}
	opts := *client.Options()
	if opts.Network == "unix" {
		return finding{OK, "Redis is reached over a Unix socket, which the rights of its file protect", ""}
	}
	var remote atomic.Value
	stranger := redis.NewClient(strangersOptions(opts, &remote))
	defer func() { _ = stranger.Close() }()
	open, err := within(ctx, func(ctx context.Context) (bool, error) { return takesAnybody(ctx, stranger) })
	if err != nil {
		return failedBy(err, "see that Redis takes one more connection")
	}
	where, _ := remote.Load().(netip.Addr)
	return judgeAccess(open, opts.TLSConfig != nil, where)
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

// judgeAccess takes whether Redis is open to anybody, whether the connection is
// encrypted, and the address of Redis, which may be unknown (the zero Addr).
func judgeAccess(open, encrypted bool, where netip.Addr) finding {
	var problems, remedies []string
	if open {
		problems = append(problems, "Redis takes anybody without a password, who may then read tokens, delete sessions and enqueue others")
		remedies = append(remedies, "give Redis a password, and write it into REDIS_URL")
	}
	if !encrypted && where.IsValid() && !address.IsPrivate(where) {
		problems = append(problems, "the way to Redis at "+where.String()+" is not encrypted, and leads out of private networks")
		remedies = append(remedies, "use rediss://, or rediss-sentinel:// behind Sentinel")
	}
	if problems != nil {
		return finding{Warning, strings.Join(problems, "; "), strings.Join(remedies, "; ")}
	}
	detail := "Redis asks for a password"
	if encrypted {
		detail += ", and the way to it is encrypted"
	}
	return finding{OK, detail, ""}
}
