package fair

import "testing"

func TestSlots_LeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	s := New(16, 5)
	for _, row := range []struct {
		account string
		want    int
	}{{"a", 8}, {"b", 4}, {"c", 2}, {"d", 1}, {"e", 1}} {
		got := 0
		for s.Take(row.account) {
			got++
		}
		if got != row.want {
			t.Errorf("%s has %d slots, want %d", row.account, got, row.want)
		}
	}
	for range 8 {
		s.GiveBack("a")
	}
	if !s.Take("e") {
		t.Error("slots that were given back are not free")
	}
}

func TestSlots_AreNotRefusedToASingleAccount(t *testing.T) {
	t.Parallel()
	s := New(2, 1)
	for range 3 {
		if !s.Take("a") {
			t.Error("the only account is refused a slot")
		}
	}
}
