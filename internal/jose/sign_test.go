package jose

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
)

const claims = `{"iss":"https://id.example.com","sub":"usr_1","aud":"https://api.example.com","exp":1900000000,"iat":1899999400,"jti":"j1","client_id":"cli_1","scope":"openid profile"}`

func mustKey(t testing.TB, id, alg string) *Key {
	t.Helper()
	k, err := Generate(id, alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSign(t testing.TB, k *Key, typ, claims string) string {
	t.Helper()
	s, err := Sign(k, typ, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(k *Key, typ string) Want { return Want{Typ: []string{typ}, Keys: Set{k.Public()}} }

func TestEveryAlgorithmSignsWhatItVerifies(t *testing.T) {
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := mustKey(t, "key_1", alg)
			for range 20 { // short integers in ECDSA signatures come by chance
				token := mustSign(t, k, "at+jwt", claims)
				v, err := Verify(token, want(k, "at+jwt"))
				if err != nil {
					t.Fatal(err)
				}
				if string(v.Payload) != claims || v.Kid != "key_1" || v.Alg != alg || v.Typ != "at+jwt" {
					t.Fatalf("got %s %s %s %s", v.Payload, v.Kid, v.Alg, v.Typ)
				}
			}
		})
	}
}

// An independent implementation must agree in both directions.
func TestAnotherImplementationAgrees(t *testing.T) {
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			k := mustKey(t, "key_1", alg)
			other, err := gojose.ParseSignedCompact(mustSign(t, k, "at+jwt", claims), []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			var jwk gojose.JSONWebKey
			if err := jwk.UnmarshalJSON(k.Public().JWK()); err != nil {
				t.Fatal(err)
			}
			if payload, err := other.Verify(jwk); err != nil || string(payload) != claims {
				t.Fatalf("the other implementation reads %q, %v", payload, err)
			}
			sum, err := jwk.Thumbprint(crypto.SHA256)
			if err != nil || base64.RawURLEncoding.EncodeToString(sum) != k.Public().Thumbprint() {
				t.Errorf("thumbprints differ (%v)", err)
			}

			der, err := k.PKCS8()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseKey("key_1", alg, der)
			if err != nil {
				t.Fatal(err)
			}
			var private any = again.rsa
			if again.ec != nil {
				private = again.ec
			} else if again.ed != nil {
				private = again.ed
			}
			opts := (&gojose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "key_1")
			signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: private}, opts)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := signer.Sign([]byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			token, err := theirs.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(token, want(k, "at+jwt")); err != nil {
				t.Errorf("cannot verify the other implementation's token: %v", err)
			}
		})
	}
}

// RFC 7515, appendix A.3: a token signed by others with ES256.
func TestPublishedVector(t *testing.T) {
	set, err := ParseSet([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	token := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	v, err := Verify(token, Want{Typ: []string{""}, Keys: set})
	if err != nil {
		t.Fatal(err)
	}
	if iss, _ := v.Claims.String("iss"); iss != "joe" {
		t.Errorf("iss = %q", iss)
	}
}

// RFC 7638, section 3.1.
func TestPublishedThumbprint(t *testing.T) {
	k, err := ParseJWK([]byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Thumbprint(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint %s", got)
	}
}

func TestAKeyDoesNotPrintItself(t *testing.T) {
	k := mustKey(t, "key_1", ES256)
	for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(f, k); got != "signing key key_1 (ES256)" {
			t.Errorf("%s prints %q", f, got)
		}
	}
	if text, err := json.Marshal(k); err != nil || string(text) != `{"ID":"key_1","Alg":"ES256"}` {
		t.Errorf("JSON of a key is %s (%v)", text, err)
	}
}

func TestClaimsAreChecked(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	base := Expect{Now: now, Issuer: "https://as", Audience: []string{"https://api"}}
	with := func(change func(*Expect)) Expect { e := base; change(&e); return e }
	for _, c := range []struct {
		name, claims string
		e            Expect
		want         error
	}{
		{"good", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000001}`, base, nil},
		{"audience list", `{"iss":"https://as","aud":["x","https://api"],"sub":"s","exp":1900000001}`, base, nil},
		{"audience list where it must be alone", `{"iss":"https://as","aud":["x","https://api"],"sub":"s","exp":1900000001}`, with(func(e *Expect) { e.AloneAud = true }), ErrClaim},
		{"no iss", `{"aud":"https://api","sub":"s","exp":1900000001}`, base, ErrClaim},
		{"other iss", `{"iss":"https://as/","aud":"https://api","sub":"s","exp":1900000001}`, base, ErrClaim},
		{"iss by case folding", `{"ISS":"https://as","aud":"https://api","sub":"s","exp":1900000001}`, base, ErrClaim},
		{"nothing expected is not nothing checked", `{"iss":"","aud":"https://api","sub":"s","exp":1900000001}`, with(func(e *Expect) { e.Issuer = "" }), ErrClaim},
		{"no aud", `{"iss":"https://as","sub":"s","exp":1900000001}`, base, ErrClaim},
		{"empty aud list", `{"iss":"https://as","aud":[],"sub":"s","exp":1900000001}`, base, ErrClaim},
		{"aud number", `{"iss":"https://as","aud":7,"sub":"s","exp":1900000001}`, base, ErrClaim},
		{"aud list with null", `{"iss":"https://as","aud":[null,"https://api"],"sub":"s","exp":1900000001}`, base, ErrClaim},
		{"aud null", `{"iss":"https://as","aud":null,"sub":"s","exp":1900000001}`, base, ErrClaim},
		{"no audience expected", `{"iss":"https://as","aud":"","sub":"s","exp":1900000001}`, with(func(e *Expect) { e.Audience = nil }), ErrClaim},
		{"no sub", `{"iss":"https://as","aud":"https://api","exp":1900000001}`, base, ErrClaim},
		{"no sub where none is needed", `{"iss":"https://as","aud":"https://api","exp":1900000001}`, with(func(e *Expect) { e.NoSubject = true }), nil},
		{"other sub", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000001}`, with(func(e *Expect) { e.Subject = "t" }), ErrClaim},
		{"no exp", `{"iss":"https://as","aud":"https://api","sub":"s"}`, base, ErrClaim},
		{"exp now", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000000}`, base, ErrExpired},
		{"exp within skew", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1899999990}`, with(func(e *Expect) { e.Skew = time.Hour }), nil},
		{"exp beyond the largest skew", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1899999940}`, with(func(e *Expect) { e.Skew = time.Hour }), ErrExpired},
		{"exp string", `{"iss":"https://as","aud":"https://api","sub":"s","exp":"1900000001"}`, base, ErrClaim},
		{"exp huge", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1e300}`, base, ErrClaim},
		{"exp negative", `{"iss":"https://as","aud":"https://api","sub":"s","exp":-1}`, base, ErrClaim},
		{"exp fraction", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000000.5}`, base, nil},
		{"life too long", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900003600}`, with(func(e *Expect) { e.MaxLife = 5 * time.Minute }), ErrClaim},
		{"nbf ahead", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000900,"nbf":1900000061}`, base, ErrClaim},
		{"nbf a little ahead", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000900,"nbf":1900000060}`, base, nil},
		{"iat ahead", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000900,"iat":1900000061}`, base, ErrClaim},
		{"iat missing where needed", `{"iss":"https://as","aud":"https://api","sub":"s","exp":1900000900}`, with(func(e *Expect) { e.NeedIssuedAt = true }), ErrClaim},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := ParseObject([]byte(c.claims))
			if err != nil {
				t.Fatal(err)
			}
			err = Claims{o}.Check(c.e)
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestEarliestIsWhenCheckBeginsToPass(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for name, c := range map[string]struct {
		claims string
		life   time.Duration
		want   time.Time
	}{
		"nothing said":          {`{"exp":1900000100}`, 0, time.Time{}},
		"the longest life":      {`{"exp":1900000400}`, 5 * time.Minute, at(1900000040)},
		"when it was issued":    {`{"exp":1900000400,"iat":1900000390}`, 5 * time.Minute, at(1900000330)},
		"not before":            {`{"exp":1900000400,"iat":1900000001,"nbf":1900000380}`, 5 * time.Minute, at(1900000320)},
		"the last of all three": {`{"exp":1900000400,"iat":1,"nbf":2}`, 5 * time.Minute, at(1900000040)},
	} {
		o, err := ParseObject([]byte(c.claims))
		if err != nil {
			t.Fatal(err)
		}
		e := Expect{MaxLife: c.life}
		got, err := Claims{o}.Earliest(e)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
		if c.want.IsZero() {
			continue
		}
		for _, step := range []time.Duration{-time.Millisecond, 0} {
			e.Now = got.Add(step)
			if err := (Claims{o}).checkTimes(e); (err == nil) != (step == 0) {
				t.Errorf("%s: %v after Earliest: %v", name, step, err)
			}
		}
	}
}
