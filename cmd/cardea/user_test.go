package main

import (
	"testing"

	"github.com/cardea-id/cardea/api"
)

// Nobody verified a number that is new, unless the same command says so; and what is
// neither true nor false is not taken for either.
func TestANewNumberIsNotVerified(t *testing.T) {
	for _, c := range []struct {
		set      []string
		verified bool
		wrong    string
	}{
		{set: []string{"phone_number=+442"}},
		{set: []string{"phone_number="}},
		{set: []string{"phone_number=+441"}, verified: true},
		{set: []string{"nickname=Countess"}, verified: true},
		{set: []string{"phone_number_verified=true", "phone_number=+442"}, verified: true},
		{set: []string{"phone_number_verified=false"}},
		{set: []string{"phone_number_verified="}},
		{set: []string{"phone_number_verified=True"}, wrong: "--profile phone_number_verified=True: want true or false"},
		{set: []string{"phone_number_verified=yes"}, wrong: "--profile phone_number_verified=yes: want true or false"},
		{set: []string{"phone_number_verified=1"}, wrong: "--profile phone_number_verified=1: want true or false"},
	} {
		p := api.Profile{PhoneNumber: "+441", PhoneNumberVerified: true}
		err := setProfile(&p, c.set)
		if c.wrong != "" {
			if err == nil || err.Error() != c.wrong {
				t.Errorf("%q: %v, want %s", c.set, err, c.wrong)
			}
			continue
		}
		if err != nil || p.PhoneNumberVerified != c.verified {
			t.Errorf("%q: %+v, %v", c.set, p, err)
		}
	}
}
