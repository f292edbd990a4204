package hosts

import "time"

// serve gives their turn to all of a host's events that may go now, and sees to it
// that somebody looks again when the next may. The lock is held.
func (h *Hosts) serve(k *host, now time.Time) {
	for h.serveOne(k, now) {
	}
	h.arm(k, now)
}

// serveOne gives one event its turn, if one may go.
func (h *Hosts) serveOne(k *host, now time.Time) bool {
	if h.closed {
		return false
	}
	k.wakeDue(now)
	if k.admits(now) != Granted {
		return false
	}
	e := h.next(k, now)
	if e == nil {
		return false
	}
	h.drop(e)
	if !now.Before(e.ends) {
		return true // its task brings it
	}
	k.last = e.Kind
	if _, posting := h.underWay[e.ID]; posting {
		return true
	}
	p := h.permit(k, e.ID, e.Kind, now)
	h.running.Go(func() { e.Post(p) })
	return true
}

// next is the event whose turn it is: the oldest of a kind for which there is a slot.
// The kinds take turns, because a person waits for a first post, however many events
// of old outcomes wait beside it. An open circuit that nobody waits for is probed by
// an event that sleeps.
func (h *Hosts) next(k *host, now time.Time) (chosen *entry) {
	hungry := false
	for kind := range kinds {
		e := k.ready[kind].first()
		switch {
		case e == nil:
		case h.posts[kind] >= h.opts.Total:
			hungry = true
		case chosen == nil || kind != k.last:
			chosen = e
		}
	}
	if chosen == nil && !hungry && k.open {
		if e := k.prober(); e != nil && !now.Before(e.soonest) {
			if hungry = h.posts[e.Kind] >= h.opts.Total; !hungry {
				chosen = e
			}
		}
	}
	if hungry {
		h.hungry[k] = struct{}{}
	} else {
		delete(h.hungry, k)
	}
	return chosen
}

// feed shares slots that became free out among the hosts that could go on: one at a
// time, to the one with the fewest posts under way. The lock is held.
func (h *Hosts) feed(now time.Time) {
	for {
		var least *host
		for k := range h.hungry {
			if k.admits(now) == Granted && h.next(k, now) != nil && (least == nil || k.underWay < least.underWay) {
				least = k
			}
		}
		if least == nil || !h.serveOne(least, now) {
			return
		}
		h.arm(least, now)
	}
}

// refuses says why a newcomer may not be posted now. The lock is held.
func (h *Hosts) refuses(k *host, kind Kind, now time.Time) Refusal {
	switch refused := k.admits(now); {
	case refused != Granted:
		return refused
	case h.posts[kind] >= h.opts.Total:
		return NoSlot
	case k.ready[kind].first() != nil:
		return HostBusy
	}
	return Granted
}

// permit takes the slots; the lock is held.
func (h *Hosts) permit(k *host, id string, kind Kind, now time.Time) *Permit {
	h.underWay[id] = struct{}{}
	h.posts[kind]++
	k.underWay++
	p := &Permit{hosts: h, host: k, id: id, kind: kind, begun: now}
	if k.open {
		k.probe = p
	}
	return p
}

// arm sets the host's timer to when an event may go that may not go now, if nothing
// is heard from the host before. The lock is held.
func (h *Hosts) arm(k *host, now time.Time) {
	at, needed := k.nextLook(now)
	_, hungry := h.hungry[k]
	switch {
	case !needed || h.closed || hungry && !at.After(now): // feed looks when a slot is free
		if k.timer != nil {
			k.timer.Stop()
		}
	case k.timer == nil:
		k.timer = time.AfterFunc(at.Sub(now), func() { h.look(k) })
	default:
		k.timer.Reset(at.Sub(now))
	}
}

func (h *Hosts) look(k *host) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve(k, time.Now())
}

// nextLook is when time alone may let an event go.
func (k *host) nextLook(now time.Time) (at time.Time, needed bool) {
	sooner := func(t time.Time) {
		if !needed || t.Before(at) {
			at, needed = t, true
		}
	}
	waits := k.ready[First].first() != nil || k.ready[Repeated].first() != nil
	sleeper := k.asleep.first()
	if sleeper != nil {
		sooner(sleeper.key)
	}
	switch {
	case k.open && k.probe == nil && waits:
		sooner(k.probeAt)
	case k.open && k.probe == nil && sleeper != nil:
		sooner(later(k.probeAt, k.prober().soonest))
	case !k.open && waits && k.ramping(now):
		sooner(k.nextStep(now))
	}
	return at, needed
}
