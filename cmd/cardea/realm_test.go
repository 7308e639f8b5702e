package main

import "testing"

// A setting goes back to its default where it gets no value; the others are set.
func TestASettingCanBeEmptied(t *testing.T) {
	s, reset, err := realmSettings([]string{"approval_webhook=", "code_ttl=2m"})
	if err != nil || s.CodeTTL != "2m" || len(reset) != 1 || reset[0] != "approval_webhook" {
		t.Errorf("got %+v, reset %q: %v", s, reset, err)
	}
}
