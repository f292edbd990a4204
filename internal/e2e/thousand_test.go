package e2e

import (
	"testing"
	"time"
)

func TestServe_ThousandSessionsThroughEnqueue(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	markSign := w.simulate(1000, "5s,25s")
	p, tokens := w.serve(markSign.setting), markSign.tokens

	begun := time.Now()
	w.enqueue(tokens)
	t.Logf("enqueued %d sessions in %v", len(tokens), time.Since(begun))
	noise := p.measureNoise()
	w.awaitRemoved(tokens, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(tokens, nil)

	var toWebhook, toPoll distribution
	for _, token := range tokens {
		s := w.story(token)
		if s.at.FinalSeenAt.IsZero() {
			continue // told of by check
		}
		if len(s.posts) > 0 {
			toWebhook = append(toWebhook, s.posts[0].begun.Sub(s.at.FinalSeenAt))
		}
		toPoll = append(toPoll, s.at.FinalSeenAt.Sub(s.at.FinalAt))
	}
	toWebhook.log(t, "from the poll that saw the final answer to the webhook")
	toPoll.log(t, "from the final answer to the poll that saw it")
	machine := noise()
	machine.log(t, "probes of the process, of Redis and of the test meanwhile")
	for _, q := range []float64{0.5, 0.99} {
		// What a probe takes longer than nothing is the machine's doing, or the
		// race detector's in the harness, and the way to the webhook is as long.
		most := 50*time.Millisecond + 2*machine.quantile(q)
		if got := toWebhook.quantile(q); got > most {
			t.Errorf("the webhook begins %v (p%v) after the poll that saw the final answer, want %v at most", got, 100*q, most)
		}
	}
}
