package redistest

import "net"

// Move is a slot on its way from one master to another one.
type Move struct {
	cluster  *Cluster
	slot     int
	from, to *Server
}

// MoveSlot moves the slot of a key, with all its keys, to another master. Clients
// may use them meanwhile.
func (c *Cluster) MoveSlot(key string, to *Server) {
	c.tb.Helper()
	c.BeginMove(key, to).Finish()
}

// BeginMove begins to move the slot of a key to another master. Keys that are there
// stay for now; a key that is not is made at the new master.
func (c *Cluster) BeginMove(key string, to *Server) *Move {
	c.tb.Helper()
	m := &Move{cluster: c, slot: c.slotOf(key), from: c.MasterOf(key), to: to}
	to.must("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.from.id())
	m.from.must("CLUSTER", "SETSLOT", m.slot, "MIGRATING", to.id())
	return m
}

// Keys moves at most so many keys of the slot, and returns how many there were. The
// slot stays where it is, so that clients are sent on with ASK.
func (m *Move) Keys(limit int) int {
	m.cluster.tb.Helper()
	keys := m.from.must("CLUSTER", "GETKEYSINSLOT", m.slot, limit).([]any)
	if len(keys) > 0 {
		host, port, _ := net.SplitHostPort(m.to.Addr)
		m.from.must(append([]any{"MIGRATE", host, port, "", 0, 5000, "REPLACE", "KEYS"}, keys...)...)
	}
	return len(keys)
}

// Finish moves the keys that are left and then the slot. All masters know it when
// it returns.
func (m *Move) Finish() {
	m.cluster.tb.Helper()
	for m.Keys(100) > 0 {
	}
	id := m.to.id()
	for _, master := range append([]*Server{m.to, m.from}, m.cluster.Masters()...) { // in this order no client is sent in a circle
		master.must("CLUSTER", "SETSLOT", m.slot, "NODE", id)
	}
}
