package opa

import "testing"

func TestOneRealmLeavesSeatsToOthers(t *testing.T) {
	s := NewSeats(4)
	for i, want := range []struct {
		realm string
		room  bool
	}{{"a", true}, {"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}, {"c", false}} {
		if got := s.Take(want.realm); got != want.room {
			t.Errorf("seat %d, for realm %s: %v", i, want.realm, got)
		}
	}
	s.Leave("a")
	if !s.Take("c") || s.Take("a") {
		t.Error("a seat that was left is not for whoever comes next")
	}
	for _, realm := range []string{"a", "a", "b", "c"} {
		s.Leave(realm)
	}
	if s.taken != 0 || len(s.by) != 0 {
		t.Errorf("%d seats are taken when everybody has left, by %v", s.taken, s.by)
	}
}

func TestOneClientLeavesSeatsToItsRealm(t *testing.T) {
	s := NewSeats(8)
	for i, want := range []struct {
		realm, client string
		room          bool
	}{{"a", "x", true}, {"a", "x", true}, {"a", "x", true}, {"a", "x", false}, {"a", "y", true}, {"b", "x", true}, {"a", "y", true}, {"a", "y", true}, {"a", "z", false}, {"b", "y", true}, {"b", "z", false}} {
		if got := s.Take(want.realm, want.client); got != want.room {
			t.Errorf("seat %d, for client %s of realm %s: %v", i, want.client, want.realm, got)
		}
	}
	s.Leave("a", "x")
	if s.Take("a", "y") || !s.Take("a", "x") {
		t.Error("a client has more than half of what its realm may have")
	}
}
