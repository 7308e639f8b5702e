package token

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
)

func TestIDTokens(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		p := n.mustPerson(t, dbtest.Realm)
		for _, alg := range []string{"ES256", "EdDSA", "RS256", "PS256"} {
			c := n.mustClient(t, dbtest.Realm, func(s *client.Settings) { s.IDTokenAlg = alg })
			g := n.mustGrant(t, dbtest.Realm, p, c)
			q := ask(g)
			q.ID = &IDRequest{Nonce: `n"1`, Claims: []Claim{{"name", []byte(`"Ada"`)}, {"address", []byte(`{"country":"GB"}`)}}}
			i := n.mustIssue(t, q)
			m := claims(t, i.ID)
			half := sha256.Sum256([]byte(i.Access))
			hash := base64.RawURLEncoding.EncodeToString(half[:16])
			if alg == "EdDSA" {
				sum := sha512.Sum512([]byte(i.Access))
				hash = base64.RawURLEncoding.EncodeToString(sum[:32])
			}
			sid, err := n.SID(t.Context(), dbtest.Realm, c.ID, p.session)
			must(t, err)
			now := float64(n.Clock.Now().Unix())
			for name, want := range map[string]any{"iss": "https://id.example.com/realms/test", "sub": p.id, "aud": c.ID, "iat": now, "exp": now + 600, "nonce": `n"1`,
				"acr": AAL1, "auth_time": now, "at_hash": hash, "sid": sid, "name": "Ada"} {
				if m[name] != want {
					t.Errorf("%s: %s = %v, want %v", alg, name, m[name], want)
				}
			}
			if m["address"].(map[string]any)["country"] != "GB" || len(m) != 14 {
				t.Errorf("%s: claims %v", alg, m)
			}
			h, err := n.Hint(t.Context(), dbtest.Realm, i.ID)
			if err != nil || h.Subject != p.id || h.Client != c.ID || h.Session != sid {
				t.Errorf("%s: hint %+v, %v", alg, h, err)
			}
		}
	})
}

// JW-05: what others put in never replaces what the gate says. Remove the call
// of reserved to see this fail.
func TestReservedClaimsCannotBeSet(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		g := n.mustGrant(t, dbtest.Realm, n.mustPerson(t, dbtest.Realm), n.mustClient(t, dbtest.Realm))
		try := func(c ...Claim) error {
			q := ask(g)
			q.ID = &IDRequest{Claims: c}
			_, err := n.Issue(t.Context(), by, q)
			return err
		}
		for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nonce", "acr", "amr", "auth_time", "azp", "at_hash", "sid", "cnf", "act", "status"} {
			if err := try(Claim{name, []byte(`"x"`)}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want an error that names it", name, err)
			}
		}
		if err := try(Claim{"name", []byte(`"a"`)}, Claim{"name", []byte(`"b"`)}); err == nil {
			t.Error("one name twice")
		}
		for _, bad := range []string{``, `"a`, `1,"sub":"usr_admin"`, `1}`, `"a" "b"`, "1\n}{"} {
			if err := try(Claim{"x", []byte(bad)}); err == nil {
				t.Errorf("value %q passed", bad)
			}
		}
		must(t, try(Claim{"name", []byte(`"a"`)}, Claim{"x y\"z", []byte(`[1, null]`)}))
	})
}

func TestPairwiseSubjectsShareNothingBetweenSectors(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		at := func(host string) func(*client.Settings) {
			return func(s *client.Settings) {
				s.SubjectType, s.RedirectURIs = client.Pairwise, []string{"https://" + host + "/cb"}
			}
		}
		a1, a2, b := n.mustClient(t, dbtest.Realm, at("a.example.com")), n.mustClient(t, dbtest.Realm, at("a.example.com")), n.mustClient(t, dbtest.Realm, at("b.example.com"))
		foreign := n.mustClient(t, dbtest.Neighbour, at("a.example.com"))
		p, q := n.mustPerson(t, dbtest.Realm), n.mustPerson(t, dbtest.Realm)
		subject := func(c *client.Client, p person) string {
			t.Helper()
			s, err := n.Subject(t.Context(), c.Realm, c, p.id)
			must(t, err)
			if strings.Contains(s, p.id) || len(s) != 43 {
				t.Errorf("subject %q", s)
			}
			return s
		}
		if subject(a1, p) != subject(a2, p) {
			t.Error("one sector knows a person by two names")
		}
		if subject(a1, p) == subject(b, p) || subject(a1, p) == subject(a1, q) || subject(a1, p) == subject(foreign, p) {
			t.Error("two share a subject")
		}
	})
}

func TestSessionsAreKnownToEachClientByAnotherName(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		seen := map[string]bool{}
		for _, at := range [][3]string{{dbtest.Realm, "cli_a", "ses_1"}, {dbtest.Realm, "cli_b", "ses_1"}, {dbtest.Realm, "cli_a", "ses_2"}, {dbtest.Neighbour, "cli_a", "ses_1"}} {
			sid, err := n.SID(t.Context(), at[0], at[1], at[2])
			must(t, err)
			again, err := n.SID(t.Context(), at[0], at[1], at[2])
			if err != nil || again != sid || seen[sid] {
				t.Errorf("%v: %q, then %q, %v", at, sid, again, err)
			}
			seen[sid] = true
		}
	})
}

func TestAHintMayHaveExpiredButMustBeOurs(t *testing.T) {
	run(t, func(t *testing.T, n *node) {
		c := n.mustClient(t, dbtest.Realm)
		q := ask(n.mustGrant(t, dbtest.Realm, n.mustPerson(t, dbtest.Realm), c, func(d *grant.New) { d.Offline = true }))
		q.ID = &IDRequest{}
		id := n.mustIssue(t, q).ID
		n.Clock.Advance(30 * 24 * time.Hour)
		if h, err := n.Hint(t.Context(), dbtest.Realm, id); err != nil || h.Expires.After(n.Clock.Now()) {
			t.Errorf("a month later: %+v, %v", h, err)
		}
		for _, bad := range []string{"", "x", id + "A", id[:len(id)-2], strings.Replace(id, ".", "..", 1)} {
			if _, err := n.Hint(t.Context(), dbtest.Realm, bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("%.20q: %v, want invalid", bad, err)
			}
		}
		if _, err := n.Hint(t.Context(), dbtest.Neighbour, id); !fault.Is(err, fault.Invalid) {
			t.Errorf("in another realm: %v, want invalid", err)
		}
		n.Clock.Advance(maxHintAge)
		if _, err := n.Hint(t.Context(), dbtest.Realm, id); !fault.Is(err, fault.Invalid) {
			t.Errorf("a year later: %v, want invalid", err)
		}
	})
}

func TestAssurance(t *testing.T) {
	for _, one := range []struct {
		reached, demanded string
		want              bool
	}{{AAL1, "", true}, {"", "", true}, {AAL1, AAL1, true}, {AAL2, AAL1, true}, {AAL3, AAL2, true}, {AAL1, AAL2, false}, {"", AAL1, false},
		{"gold", AAL1, false}, {"gold", "gold", false}, {AAL3, "gold", false}} {
		if got := Meets(one.reached, one.demanded); got != one.want {
			t.Errorf("meets(%q, %q) = %v", one.reached, one.demanded, got)
		}
	}
}
