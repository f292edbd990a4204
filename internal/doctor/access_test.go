package doctor

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestExamine_WarnsOfARedisThatTakesAnybody(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--unixsocket", filepath.Join(t.TempDir(), "s"))
	// Redis takes any password of a user that needs none.
	for _, opts := range []*redis.Options{{Addr: server.Addr}, {Addr: server.Addr, Username: "default", Password: "geheim"}} {
		rdb := redis.NewClient(opts)
		defer rdb.Close()
		checks, _ := newPractice(t, rdb).examine()
		if c := checks["redis_access"]; c.Status != Warning || !strings.Contains(c.Detail, "takes anybody") || !strings.Contains(c.Advice, "password") {
			t.Errorf("%+v", c)
		}
	}
}

func TestAskAccess_TakesASocketForProtected(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	redistest.Start(t, "--unixsocket", socket)
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer rdb.Close()
	if f := askAccess(t.Context(), []redisinfo.Master{{Client: rdb}}); f.status != OK {
		t.Errorf("%+v", f)
	}
}

func judge(a access) finding { return judgeAccess(a, a.flaws()) }

func TestJudgeAccess_WarnsWhereOthersReadAlong(t *testing.T) {
	t.Parallel()
	for address, private := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "fd00::1": true, "fe80::1": true,
		"100.64.0.1": true, "203.0.113.7": false, "2001:db8::1": false, "172.32.0.1": false, "100.128.0.1": false,
	} {
		where := netip.MustParseAddr(address)
		plain, encrypted := judge(access{where: where}), judge(access{encrypted: true, where: where})
		if (plain.status == OK) != private || encrypted.status != OK {
			t.Errorf("%s: %+v, encrypted %+v", address, plain, encrypted)
		}
		if !private && (!strings.Contains(plain.detail, address) || !strings.Contains(plain.advice, "rediss://")) {
			t.Errorf("%s: %+v", address, plain)
		}
	}
	if f := judge(access{open: true, where: netip.MustParseAddr("203.0.113.7")}); !strings.Contains(f.detail, "; ") || !strings.Contains(f.advice, "; ") {
		t.Errorf("both: %+v", f)
	}
}
