package hosts

import "time"

// Word is what a post says about its host.
type Word int

// What a post can say.
const (
	Nothing Word = iota // the host was not asked, or the failure was ours
	Well                // it answered, if only to refuse what this event asks of it
	Down                // it is down or overloaded
)

// Permit is the right to one post.
type Permit struct {
	hosts *Hosts
	host  *host
	id    string
	kind  Kind
	begun time.Time
	word  Word
	over  bool
}

// Report says how the host answered the post; it counts at once, and only the
// first word does.
func (p *Permit) Report(w Word) {
	h := p.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	p.tell(w)
	h.serve(p.host, time.Now())
}

// Pass says, before Release, that the event needs no post, so that another may try at
// once whether the host is back. The event must not join the list again, but with a
// pause that the return of the host does not end.
func (p *Permit) Pass() {
	h := p.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.over && p.host.probe == p {
		p.host.probe, p.host.probeAt = nil, time.Now()
	}
}

// Release gives the permit back. Repeating it is safe.
func (p *Permit) Release() {
	h := p.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	now := time.Now()
	if p.host.probe == p { // it told nothing, perhaps because of trouble of our own
		p.host.probe, p.host.probeAt = nil, now.Add(leastProbeGap)
	}
	delete(h.underWay, p.id)
	p.host.underWay--
	h.posts[p.kind]--
	h.feed(now)
	h.serve(p.host, now)
}

// tell has the host draw its conclusions; the lock is held.
func (p *Permit) tell(w Word) {
	if p.word != Nothing || p.over {
		return
	}
	p.word = w
	now := time.Now()
	switch w {
	case Well:
		p.host.answered(p, now)
	case Down:
		p.host.failed(p, now)
	case Nothing:
	}
}
