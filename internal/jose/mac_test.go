package jose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func macOf(key, header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// JW-01: a shared secret checks HS256 and nothing else, and no key set does.
func TestSharedSecretsCheckTheirOwnAlgorithmOnly(t *testing.T) {
	key := strings.Repeat("k", 32)
	good := macOf(key, `{"alg":"HS256"}`, `{"sub":"a"}`)
	m, err := ParseMAC(good, 0)
	if err != nil || m.Subject() != "a" {
		t.Fatalf("%v %v", m, err)
	}
	if v, err := m.Verify([]byte(key), ""); err != nil || v.Alg != HS256 {
		t.Errorf("the right secret: %+v %v", v, err)
	}
	for name, c := range map[string]struct {
		key   string
		types []string
		want  error
	}{
		"another secret": {strings.Repeat("x", 32), []string{""}, ErrSignature},
		"a short secret": {"short", []string{""}, ErrBadKey},
		"no secret":      {"", []string{""}, ErrBadKey},
		"another type":   {key, []string{"JWT"}, ErrType},
	} {
		if _, err := m.Verify([]byte(c.key), c.types...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := Parse(good, 0); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("as a signature: %v", err)
	}
	ec := mustKey(t, "k", ES256)
	for name, token := range map[string]string{
		"a signature": mustSign(t, ec, "JWT", claims), "none": b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".", "HS384": macOf(key, `{"alg":"HS384"}`, `{}`),
	} {
		if _, err := ParseMAC(token, 0); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s as a MAC: %v", name, err)
		}
	}
	if _, err := ParseMAC(macOf(key, `{"alg":"HS256","crit":["b64"]}`, `{}`), 0); !errors.Is(err, ErrHeader) {
		t.Errorf("a forbidden header: %v", err)
	}
	if _, err := ParseMAC(good, len(good)-1); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

// Nothing is taken for authentic that the secret did not make.
func FuzzParseMAC(f *testing.F) {
	key := strings.Repeat("k", 32)
	f.Add(macOf(key, `{"alg":"HS256"}`, `{"sub":"a"}`))
	f.Add(b64(`{"alg":"HS256"}`) + "." + b64(`{}`) + ".")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		m, err := ParseMAC(token, 0)
		if err != nil {
			return
		}
		if _, err := m.Verify([]byte(strings.Repeat("z", 32)), m.read.Typ); err == nil {
			t.Fatalf("%q verifies with another secret", token)
		}
		head, rest, _ := strings.Cut(token, ".")
		body, _, _ := strings.Cut(rest, ".")
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(head + "." + body))
		_, err = m.Verify([]byte(key), m.read.Typ)
		if made := strings.HasSuffix(token, "."+base64.RawURLEncoding.EncodeToString(h.Sum(nil))); made != (err == nil) {
			t.Fatalf("%q: made by the secret is %v, verified is %v", token, made, err)
		}
	})
}
