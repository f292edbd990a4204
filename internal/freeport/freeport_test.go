package freeport

import (
	"net"
	"os/exec"
	"sync"
	"testing"
)

func TestAddr_IsNobodyElses(t *testing.T) {
	t.Parallel()
	const callers = 200
	addrs := make(chan string, callers)
	for range callers {
		go func() { addrs <- Addr(t) }()
	}
	seen := make(map[string]bool)
	for range callers {
		addr := <-addrs
		if seen[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		seen[addr] = true
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("it cannot be used: %v", err)
		}
		l.Close()
	}
	// Whoever asks the system for any port gets none of them, although nobody
	// listens there.
	for range 2000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if seen[l.Addr().String()] {
			t.Fatalf("the system gave %s to somebody else", l.Addr())
		}
	}
}

func TestAddr_IsNotKeptByAProcessThatStartsMeanwhile(t *testing.T) {
	t.Parallel()
	var starting sync.WaitGroup
	quit := make(chan struct{})
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		})
	}
	for range 500 {
		l, err := net.Listen("tcp", Addr(t))
		if err != nil {
			t.Errorf("a port that was just given: %v", err)
			break
		}
		l.Close()
	}
	close(quit)
	starting.Wait()
}

func TestAddr_IsFreeAgainWhenTheTestHasEnded(t *testing.T) {
	t.Parallel()
	var addr string
	t.Run("has it", func(t *testing.T) {
		addr = Addr(t)
		if _, ok := claimed(addr); ok {
			t.Errorf("%s can be claimed twice", addr)
		}
	})
	claim, ok := claimed(addr)
	if !ok {
		t.Fatalf("%s is still taken", addr)
	}
	claim.Close()
}

func TestAddr_IsNotWhereSomebodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, ok := claimed(l.Addr().String()); ok {
		t.Errorf("%s is claimed although somebody listens there", l.Addr())
	}
}
