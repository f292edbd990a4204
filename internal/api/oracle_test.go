package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/webhook"
)

// guardedDesk is a desk whose one account has the sender that NewSender makes, with 127.0.0.0/8 open but for one address.
func guardedDesk(t *testing.T, shut netip.AddrPort) *desk {
	t.Helper()
	d := newDesk(t)
	signer, err := webhook.NewSigner([]webhook.Secret{d.secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Closed: func(target netip.AddrPort) bool { return target == shut },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.api, err = New(Options{
		Accounts: []Account{{Name: "shop", Keys: [][32]byte{HashKey(d.keys["shop"])}, CallbackURL: callback, Sender: sender}},
		Redis:    d.rdb, Log: newLog(d.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// With a key one cannot find out which names there are, or where Redis is: an unknown name, and one that leads to what is
// closed, have the same answer and take as long.
func TestTestEvent_SaysTheSameOfUnknownNamesAndClosedAddresses(t *testing.T) {
	t.Parallel()
	redis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	go func() {
		if conn, err := redis.Accept(); err == nil {
			conn.Close()
			t.Error("Redis was reached")
		}
	}()
	_, port, _ := net.SplitHostPort(redis.Addr().String())
	d := guardedDesk(t, netip.MustParseAddrPort(redis.Addr().String()))
	var details []string
	for _, host := range []string{"nobody.invalid", "localhost"} {
		var got TestEventAnswer
		body := map[string]string{"callback_url": "http://" + host + ":" + port + "/"}
		d.as("shop").do(http.MethodPost, "/v1/events:test", body).into(http.StatusOK, &got)
		if got.Delivered || got.HTTPStatus != nil || got.DurationMS < unreachableTime.Milliseconds() {
			t.Errorf("%s: %+v", host, got)
		}
		details = append(details, got.Detail)
	}
	if details[0] != details[1] {
		t.Errorf("it says %q of an unknown name, and %q of Redis", details[0], details[1])
	}
}

// At the door, an address that is not public and one that can never be reached have the same answer too.
func TestCallback_SaysTheSameOfEveryAddressThatIsRefused(t *testing.T) {
	t.Parallel()
	d := guardedDesk(t, netip.MustParseAddrPort("127.0.0.1:6379"))
	var problems []string
	for _, target := range []string{"127.0.0.1:6379", "10.0.0.1", "169.254.169.254"} {
		body := map[string]string{"callback_url": "http://" + target + "/"}
		p := d.as("shop").do(http.MethodPost, "/v1/events:test", body).problem(http.StatusUnprocessableEntity, "invalid")
		problems = append(problems, p.Errors[0].Problem)
	}
	for _, problem := range problems {
		if problem != problems[0] || !strings.Contains(problem, "CALLBACK_ALLOW_NETWORKS") {
			t.Errorf("it says %q, and %q", problems[0], problem)
		}
	}
}

func TestStatus_SaysTheSameOfUnknownNamesAndClosedAddresses(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	for _, detail := range []string{webhook.DetailName, webhook.DetailAddress, webhook.DetailClosed, webhook.DetailPort} {
		said[*statusOf(admin.Status{LastError: detail}).LastError] = true
	}
	if len(said) != 1 {
		t.Errorf("it says %v", said)
	}
	if got := *statusOf(admin.Status{LastError: "HTTP 503"}).LastError; got != "HTTP 503" {
		t.Errorf("it says %q of HTTP 503", got)
	}
}
