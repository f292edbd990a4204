package marksign

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// gzipped is a text as an intermediary compresses it.
func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// longAnswer is an ok answer of about that many bytes, most of them records.
func longAnswer(size int) string {
	const record = `{"id":700001,"full_name":"Nesantysis, Seimutis","aka":""},`
	records := strings.Repeat(record, size/len(record))
	return okBody(`"peps_data":[` + strings.TrimSuffix(records, ",") + `]`)
}

func TestStatus_ReadsLargeMarkedAndCompressedAnswers(t *testing.T) {
	t.Parallel()
	const mark = "\xef\xbb\xbf"
	large := longAnswer(8<<20 - 200) // not maxBody, which must not become less unseen
	tests := map[string]struct{ body, encoding string }{
		"just under 8 MiB":          {large, ""},
		"gzip of just under 8 MiB":  {gzipped(t, large), "gzip"},
		"byte order mark":           {mark + documentedOK, ""},
		"identity":                  {documentedOK, "identity"},
		"gzip":                      {gzipped(t, documentedOK), "gzip"},
		"gzip by its old name":      {gzipped(t, documentedOK), "X-GZIP"},
		"gzip of a byte order mark": {gzipped(t, mark+documentedOK), " gzip "},
		"two members of one gzip":   {gzipped(t, documentedOK[:100]) + gzipped(t, documentedOK[100:]), "gzip"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.encoding != "" {
					w.Header().Set("Content-Encoding", tt.encoding)
				}
				_, _ = io.WriteString(w, tt.body)
			})
			if got := newClient(t, base, nil).Status(t.Context(), smartSession); got.Verdict != Identified || got.Identity.Code != "30303039914" {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestStatus_MarkedPendingIsPending(t *testing.T) {
	t.Parallel()
	for encoding, body := range map[string]string{
		"": "\xef\xbb\xbf" + string(waiting), "gzip": gzipped(t, "\xef\xbb\xbf"+string(waiting)),
	} {
		if got := statusOf(t, respond(200, body, "Content-Encoding", encoding)); got != (Answer{}) {
			t.Errorf("%q: got %v", encoding, got)
		}
	}
}

func TestStatus_OddEncodingsAreNamed(t *testing.T) {
	t.Parallel()
	const offered = "answer in an encoding that was not offered"
	whole := gzipped(t, documentedOK)
	tests := map[string]struct{ body, encoding, detail string }{
		"zstd":             {"\x28\xb5\x2f\xfd", "zstd", offered},
		"brotli":           {"x", "br", offered},
		"gzip twice":       {whole, "gzip, gzip", offered},
		"no gzip":          {documentedOK, "gzip", "gzip that cannot be read"},
		"cut gzip":         {whole[:len(whole)/2], "gzip", "answer cut short"},
		"gzip without end": {whole[:len(whole)-4], "gzip", "answer cut short"},
		"wrong sum":        {whole[:len(whole)-8] + "12345678", "gzip", "gzip that cannot be read"},
		"spoilt gzip":      {whole[:10] + "\xff\xff\xff" + whole[13:], "gzip", "gzip that cannot be read"},
	}
	for name, tt := range tests {
		rt := respond(200, tt.body, "Content-Encoding", tt.encoding)
		got := statusOf(t, rt)
		got.Salvage = nil
		if got != temporary(tt.detail) {
			t.Errorf("%s: got %v, want %s", name, got, tt.detail)
		}
		if got := removeOf(t, rt); got != (RemoveAnswer{Detail: tt.detail}) {
			t.Errorf("%s: got %v, want %s", name, got, tt.detail)
		}
	}
	for status, want := range map[int]Verdict{401: Rejected, 429: Temporary} {
		if got := statusOf(t, respond(status, "", "Content-Encoding", "gzip")); got.Verdict != want || got.Detail != "HTTP "+strconv.Itoa(status)+" without a JSON answer" {
			t.Errorf("gzip without a body: got %v", got)
		}
	}
}

// What broke off may be repeated, and is kept if it was to be a success.
func TestStatus_KeepsTheBeginningOfAnOKThatBreaksOff(t *testing.T) {
	t.Parallel()
	whole := gzipped(t, documentedOK)
	cut := func(text string) roundTrip {
		return func(req *http.Request) (*http.Response, error) {
			body := io.NopCloser(io.MultiReader(strings.NewReader(text), broken{}))
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: req, Body: body}, nil
		}
	}
	for name, row := range map[string]struct {
		rt     roundTrip
		begins string // what is kept begins so; "" if nothing is kept
	}{
		"cut":              {cut(documentedOK[:len(documentedOK)/2]), documentedOK[:100]},
		"cut behind a BOM": {cut("\xef\xbb\xbf" + documentedOK[:len(documentedOK)/2]), documentedOK[:100]},
		"ok comes late":    {cut(`{"code":"1","status":"ok","na`), `{"code":"1"`},
		"gzip without end": {respond(200, whole[:len(whole)-4], "Content-Encoding", "gzip"), documentedOK[:100]},
		"wrong sum":        {respond(200, whole[:len(whole)-8]+"12345678", "Content-Encoding", "gzip"), documentedOK[:100]},
		"pending":          {cut(`{"status":"waiting",`), ""},
		"ok inside":        {cut(`{"certificate":{"status":"ok"},`), ""},
		"a page":           {cut(`<html>{"status":"ok"`), ""},
		"nothing":          {cut(""), ""},
	} {
		got := statusOf(t, row.rt)
		if got.Verdict != Temporary || (got.Salvage != nil) != (row.begins != "") {
			t.Errorf("%s: %v, kept %t", name, got, got.Salvage != nil)
		} else if got.Salvage != nil && !strings.HasPrefix(string(got.Salvage.Body), row.begins) {
			t.Errorf("%s: kept %q", name, got.Salvage.Body)
		}
	}
	late := respond(200, `{"code":"1","status":"ok",`)
	if got := statusOf(t, late); got.Verdict != Unusable || got.Detail != "ok in broken JSON" {
		t.Errorf("broken JSON whose status comes late: %v", got)
	}
}

// A bomb is read up to the bound and no further, in as many bytes as come out and
// as come in.
func TestStatus_RefusesABombCheaply(t *testing.T) {
	t.Parallel()
	var spaces bytes.Buffer
	z := gzip.NewWriter(&spaces)
	for range 64 {
		_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	_ = z.Close()
	empty := gzipped(t, "")
	for name, body := range map[string]string{
		"64 MiB in 64 KiB": spaces.String(),
		"empty members":    strings.Repeat(empty, maxBody/len(empty)+2),
	} {
		bomb := &counting{Reader: strings.NewReader(body)}
		got := statusOf(t, func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(bomb), Request: req}, nil
		})
		if got != temporary(faultOversized) {
			t.Errorf("%s: got %v", name, got)
		}
		if bomb.read > maxBody+1 || name != "empty members" && bomb.read > 16<<10 {
			t.Errorf("%s: read %d bytes of %d", name, bomb.read, len(body))
		}
	}
}

type counting struct {
	io.Reader

	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// Reading small answers takes no more memory than they have.
func TestStatus_SmallAnswersTakeSmallBuffers(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	c := newClient(t, "http://marksign.test", respond(200, documentedOK))
	const times = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		c.Status(t.Context(), smartSession)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 64<<10 {
		t.Errorf("%d bytes for an answer of %d", each, len(documentedOK))
	}
}

// However many polls are under way, few large answers are in memory at once.
func TestStatus_FewLargeAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		large := longAnswer(2 * largeBody)
		opened := make(chan struct{})
		var mu sync.Mutex
		late := 0
		c := newClient(t, "http://marksign.test", roundTrip(func(req *http.Request) (*http.Response, error) {
			held := &gate{strings.NewReader(large[largeBody:]), opened, func() { mu.Lock(); late++; mu.Unlock() }}
			body := io.MultiReader(strings.NewReader(large[:largeBody]), held)
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body), Request: req}, nil
		}))
		var polls sync.WaitGroup
		for range 3 * largeAnswers {
			polls.Go(func() {
				if got := c.Status(context.Background(), smartSession); got.Verdict != Identified {
					t.Errorf("got %v", got)
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if late != largeAnswers {
			t.Errorf("%d large answers are being read at once", late)
		}
		mu.Unlock()
		close(opened)
		polls.Wait()
	})
}

// gate lets nobody read before it is opened.
type gate struct {
	io.Reader

	open    chan struct{}
	arrived func()
}

func (g *gate) Read(p []byte) (int, error) {
	select {
	case <-g.open:
	default:
		g.arrived()
		<-g.open
	}
	return g.Reader.Read(p)
}
