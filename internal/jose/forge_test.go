package jose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// resign makes a token of any header and payload that k really signed.
func resign(t testing.TB, k *Key, header, payload string) string {
	t.Helper()
	b, err := k.appendSignature([]byte(b64(header) + "." + b64(payload)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// JW-01: the algorithm belongs to the key.
func TestAlgorithmIsNotTheTokensToChoose(t *testing.T) {
	ec, rs, ps := mustKey(t, "k", ES256), mustKey(t, "k", RS256), mustKey(t, "k", PS256)
	mac := func(key []byte) string {
		signed := b64(`{"alg":"HS256","kid":"k","typ":"at+jwt"}`) + "." + b64(claims)
		m := hmac.New(sha256.New, key)
		m.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	for name, c := range map[string]struct {
		token string
		key   *Key
		want  error
	}{
		"none":                       {b64(`{"alg":"none","kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + ".", ec, ErrAlgorithm},
		"None":                       {b64(`{"alg":"None","kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + ".", ec, ErrAlgorithm},
		"no alg":                     {b64(`{"kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + ".", ec, ErrAlgorithm},
		"HMAC with the public key":   {mac(rs.Public().JWK()), rs, ErrAlgorithm},
		"PS256 header on RS256 key":  {resign(t, ps, `{"alg":"PS256","kid":"k","typ":"at+jwt"}`, claims), rs, ErrKey},
		"RS256 header on PS256 key":  {resign(t, rs, `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, claims), ps, ErrKey},
		"EdDSA header on ES256 key":  {resign(t, ec, `{"alg":"EdDSA","kid":"k","typ":"at+jwt"}`, claims), ec, ErrKey},
		"alg is a list":              {resign(t, ec, `{"alg":["ES256"],"kid":"k","typ":"at+jwt"}`, claims), ec, ErrMalformed},
		"signed by somebody else":    {resign(t, mustKey(t, "k", ES256), `{"alg":"ES256","kid":"k","typ":"at+jwt"}`, claims), ec, ErrSignature},
		"signature of zeros":         {b64(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + "." + b64(strings.Repeat("\x00", 64)), ec, ErrSignature},
		"DER signature":              {b64(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + "." + b64("\x30\x06\x02\x01\x01\x02\x01\x01"), ec, ErrSignature},
		"no signature":               {b64(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`) + "." + b64(claims) + ".", ec, ErrSignature},
		"unknown kid":                {resign(t, ec, `{"alg":"ES256","kid":"../../etc/passwd","typ":"at+jwt"}`, claims), ec, ErrKey},
		"kid with a matching prefix": {resign(t, ec, `{"alg":"ES256","kid":"k2","typ":"at+jwt"}`, claims), ec, ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Verify(c.token, want(c.key, "at+jwt")); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// JW-02: a token does not bring its own key, nor ask for processing.
func TestHeadersThatChooseTheKeyAreRefused(t *testing.T) {
	k := mustKey(t, "k", ES256)
	for _, h := range []string{
		`"jwk":` + string(k.Public().JWK()), `"jku":"https://evil.example/jwks"`, `"x5u":"https://evil.example/c"`, `"x5c":["AA=="]`,
		`"crit":["exp"]`, `"b64":false`, `"zip":"DEF"`, `"enc":"A256GCM"`, `"epk":{}`,
	} {
		token := resign(t, k, `{"alg":"ES256","kid":"k","typ":"at+jwt",`+h+`}`, claims)
		if _, err := Verify(token, want(k, "at+jwt")); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: got %v", h, err)
		}
	}
	// x5t only names a certificate; well-known issuers send it.
	token := resign(t, k, `{"alg":"ES256","kid":"k","typ":"at+jwt","x5t":"abc"}`, claims)
	if _, err := Verify(token, want(k, "at+jwt")); err != nil {
		t.Errorf("x5t: %v", err)
	}
}

// JW-03: a token of one type is not taken for another.
func TestTypesAreNotInterchangeable(t *testing.T) {
	k := mustKey(t, "k", ES256)
	types := []string{"at+jwt", "JWT", "logout+jwt", "token-introspection+jwt", "statuslist+jwt", "revocation-head+jwt", "revocation-snapshot+jwt", ""}
	for _, signed := range types {
		for _, expected := range types {
			_, err := Verify(mustSign(t, k, signed, claims), want(k, expected))
			if same := strings.EqualFold(signed, expected); same != (err == nil) || !same && !errors.Is(err, ErrType) {
				t.Errorf("typ %q where %q is expected: %v", signed, expected, err)
			}
		}
	}
	for _, typ := range []string{"application/at+jwt", "AT+JWT", "Application/AT+jwt"} {
		if _, err := Verify(mustSign(t, k, typ, claims), want(k, "at+jwt")); err != nil {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
	if _, err := Verify(mustSign(t, k, "at+jwt", claims), Want{Keys: Set{k.Public()}}); !errors.Is(err, ErrType) {
		t.Errorf("no type expected must accept none, got %v", err)
	}
}

// JW-06: size and shape are looked at before anything is decoded.
func TestOversizedAndMisshapenTokens(t *testing.T) {
	k := mustKey(t, "k", ES256)
	big := mustSign(t, k, "at+jwt", `{"x":"`+strings.Repeat("a", MaxBytes)+`"}`)
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for name, token := range map[string]string{
		"empty": "", "one dot": "a.b", "three dots": "a.b.c.d", "five parts of a JWE": "a.b.c.d.e", "too large": big,
		"dots only": strings.Repeat(".", 1<<20), "nested": mustSign(t, k, "at+jwt", nested(MaxDepth+1)),
		"payload no object": mustSign(t, k, "at+jwt", `[1]`), "payload empty": mustSign(t, k, "at+jwt", ``),
		"trailing data": mustSign(t, k, "at+jwt", claims+`{}`),
	} {
		if _, err := Verify(token, want(k, "at+jwt")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Verify(mustSign(t, k, "at+jwt", nested(MaxDepth)), want(k, "at+jwt")); err != nil {
		t.Errorf("nesting of %d: %v", MaxDepth, err)
	}
	if _, err := Verify(big, Want{Typ: []string{"at+jwt"}, Keys: Set{k.Public()}, MaxBytes: 1 << 20}); err != nil {
		t.Errorf("a caller's larger bound: %v", err)
	}
}

// JW-07: one token, one encoding.
func TestOneTokenHasOneSpelling(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, alg := range Algorithms() {
		k := mustKey(t, "k", alg)
		token := mustSign(t, k, "at+jwt", claims)
		for i, c := range token {
			if c == '.' {
				continue
			}
			for _, d := range alphabet {
				if d == c {
					continue
				}
				if alg != ES256 && i < len(token)-4 && i%41 != 0 { // every character once is enough for one algorithm
					continue
				}
				if alg == ES256 && i < len(token)-90 && i%7 != 0 {
					continue
				}
				forged := token[:i] + string(d) + token[i+1:]
				if _, err := Verify(forged, want(k, "at+jwt")); err == nil {
					t.Fatalf("%s: character %d changed from %c to %c still verifies", alg, i, c, d)
				}
			}
		}
		for _, forged := range []string{token + "=", token + "\n", " " + token, token + "A", token[:len(token)-1],
			strings.Replace(token, ".", "\n.", 1), strings.Replace(token, ".", "=.", 1), strings.ReplaceAll(token, "-", "+")} {
			if _, err := Verify(forged, want(k, "at+jwt")); err == nil && forged != token {
				t.Errorf("%s: %q… verifies", alg, forged[max(0, len(forged)-20):])
			}
		}
	}
}

func TestJSONIsReadStrictly(t *testing.T) {
	for _, bad := range []string{
		``, ` `, `1`, `"a"`, `[]`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":1.}`,
		`{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":-}`, `{"a":tru}`, `{"a":True}`, `{"a":NaN}`, `{"a":1}x`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":1}}`, `{"x":[{"a":1,"a":1}]}`, "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{\"\xc3\":1}",
		`{"a":"\x"}`, `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`, `{"a":"\u12g4"}`, `{"a":"\u12`, `{"a":"b`, "\ufeff{}",
	} {
		if _, err := ParseObject([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	o, err := ParseObject([]byte(" {\"a\" : \"\\u00e9\\ud83d\\ude00\\n\" , \"n\":-0.5e+3,\"l\":[true,false,null,{}],\"A\":1}\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := o.String("a"); s != "é😀\n" {
		t.Errorf("a = %q", s)
	}
	if raw, _ := o.Raw("A"); string(raw) != "1" {
		t.Errorf("names that differ by case are one: %s", raw)
	}
	if _, err := o.String("n"); err == nil {
		t.Error("a number is taken for a string")
	}
	many := "{"
	for i := range 100 {
		many += `"k` + strings.Repeat("x", i) + `":1,`
	}
	if _, err := ParseObject([]byte(many + `"k":2}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a name twice among many: %v", err)
	}
	if _, err := ParseObject([]byte(many + `"z":2}`)); err != nil {
		t.Errorf("many names: %v", err)
	}
}

func TestKeySetsAreReadStrictly(t *testing.T) {
	ec := string(mustKey(t, "ec", ES256).Public().JWK())
	rs := mustKey(t, "rs", RS256).Public()
	for name, bad := range map[string]string{
		"private key":        `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}]}`,
		"symmetric key":      `{"keys":[{"kty":"oct","k":"AAAA"}]}`,
		"point off curve":    `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}]}`,
		"short coordinate":   `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`,
		"point at infinity":  `{"keys":[{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}]}`,
		"RSA of 1024 bits":   `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + b64("\x80"+strings.Repeat("\x01", 127)) + `"}]}`,
		"RSA of 16384 bits":  `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + b64("\x80"+strings.Repeat("\x01", 2047)) + `"}]}`,
		"RSA exponent 1":     `{"keys":[{"kty":"RSA","e":"AQ","n":"` + b64("\x80"+strings.Repeat("\x01", 255)) + `"}]}`,
		"RSA exponent even":  `{"keys":[{"kty":"RSA","e":"Ag","n":"` + b64("\x80"+strings.Repeat("\x01", 255)) + `"}]}`,
		"RSA exponent large": `{"keys":[{"kty":"RSA","e":"AQAAAAAB","n":"` + b64("\x80"+strings.Repeat("\x01", 255)) + `"}]}`,
		"RSA even modulus":   `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + b64("\x80"+strings.Repeat("\x02", 255)) + `"}]}`,
		"wrong alg for kty":  `{"keys":[` + strings.Replace(ec, `"ES256"`, `"RS256"`, 1) + `]}`,
		"short Ed25519":      `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}`,
		"keys no list":       `{"keys":{}}`,
		"no keys":            `{}`,
		"null":               `{"keys":null}`,
		"duplicate member":   `{"keys":[{"kty":"EC","kty":"EC"}]}`,
		"padding":            `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + b64(strings.Repeat("a", 32)) + `="}]}`,
		"kid number":         `{"keys":[{"kty":"EC","kid":1}]}`,
	} {
		if set, err := ParseSet([]byte(bad)); err == nil {
			t.Errorf("%s: accepted %v", name, set)
		}
	}
	good, err := ParseSet([]byte(`{"keys":[` + ec + `,` + string(rs.JWK()) + `,{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},
		{"kty":"XYZ"},{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"},{"kty":"RSA","alg":"RSA-OAEP","n":"AA","e":"AQAB"},{"kty":"EC","key_ops":["sign"]}],"more":1}`))
	if err != nil || len(good) != 2 {
		t.Fatalf("got %d keys, %v", len(good), err)
	}
	again, err := ParseSet(good.JSON())
	if err != nil || len(again) != 2 || !again[0].Equal(good[0]) || !again[1].Equal(good[1]) || again[1].Alg != RS256 {
		t.Errorf("a set does not survive writing and reading: %v %v", again, err)
	}
}

func TestTokensWithoutKeyIDFindOnlyAnUnambiguousKey(t *testing.T) {
	a, b := mustKey(t, "a", ES256), mustKey(t, "b", ES256)
	token := resign(t, a, `{"alg":"ES256"}`, claims)
	if _, err := Verify(token, Want{Typ: []string{""}, Keys: Set{a.Public()}}); err != nil {
		t.Errorf("the only key: %v", err)
	}
	if _, err := Verify(token, Want{Typ: []string{""}, Keys: Set{a.Public(), b.Public()}}); !errors.Is(err, ErrKey) {
		t.Errorf("two keys: %v", err)
	}
	if _, err := Verify(token, Want{Typ: []string{""}}); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

func TestRSAKeysThatDoNotSayHowTheySignMustBePinned(t *testing.T) {
	k := mustKey(t, "k", RS256)
	jwk := strings.Replace(string(k.Public().JWK()), `"alg":"RS256",`, "", 1)
	set, err := ParseSet([]byte(`{"keys":[` + jwk + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	token := mustSign(t, k, "JWT", claims)
	if _, err := Verify(token, Want{Typ: []string{"JWT"}, Keys: set}); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("unpinned: %v", err)
	}
	if _, err := Verify(token, Want{Typ: []string{"JWT"}, Keys: set, Alg: RS256}); err != nil {
		t.Errorf("pinned: %v", err)
	}
	if _, err := Verify(token, Want{Typ: []string{"JWT"}, Keys: set, Alg: PS256}); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("pinned to another: %v", err)
	}
}
