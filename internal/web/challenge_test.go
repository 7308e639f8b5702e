package web

import "testing"

func TestAChallengeHoldsNothingThatEndsIt(t *testing.T) {
	for _, c := range []struct {
		want   string
		scheme string
		params []string
	}{
		{`Bearer`, "Bearer", nil},
		{`Bearer realm="https://id.example", scope="a b"`, "Bearer", []string{"realm", "https://id.example", "error", "", "scope", "a b"}},
		{`DPoP algs="ES256 EdDSA"`, "DPoP", []string{"realm", "", "algs", "ES256 EdDSA"}},
		{`Bearer error_description="say x, realm=evil "`, "Bearer", []string{"error_description", "say \"x\\\", realm=evil\r\n \x7fé"}},
	} {
		if got := Challenge(c.scheme, c.params...); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
