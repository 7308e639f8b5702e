package credential

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

const (
	totpPeriod = 30 * time.Second
	totpDigits = 6
	totpWindow = 1 // steps before and after the present one (RFC 6238, section 5.2)
	maxTOTP    = 5 // apps of one person
)

// totpHashes are the algorithms of RFC 6238, section 1.2, as authenticator apps
// call them.
var totpHashes = map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

// totp is how a time-based factor is kept: everything but its last used step.
type totp struct {
	Algorithm string `json:"alg"`
	Sealed    []byte `json:"sealed"` // the secret
}

// TOTPKey is what an authenticator app has to know.
type TOTPKey struct {
	Secret    secret.Text // in base32
	Algorithm string
}

// URI is the key as apps read it from a QR code (the Key URI Format of Google
// Authenticator). issuer and account are for people.
func (k TOTPKey) URI(issuer, account string) string {
	q := url.Values{"secret": {string(k.Secret)}, "issuer": {issuer}, "algorithm": {k.Algorithm},
		"digits": {fmt.Sprint(totpDigits)}, "period": {fmt.Sprint(int(totpPeriod.Seconds()))}}
	// Apps take a plus sign for itself.
	return "otpauth://totp/" + url.PathEscape(strings.ReplaceAll(issuer, ":", " ")+":"+account) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// DraftTOTP makes the secret of a factor that somebody may add: sealed, to be
// kept until they have shown that their app has it.
func (f *Factors) DraftTOTP(realm, principal, algorithm string) (string, error) {
	new, ok := totpHashes[algorithm]
	if !ok {
		return "", fault.New(fault.Internal, "totp_algorithm", "there is no algorithm %q of time-based codes", algorithm)
	}
	key := make([]byte, new().Size()) // RFC 6238, section 5.1: as long as the hash
	rand.Read(key)
	draft, err := json.Marshal(totp{algorithm, f.box.Seal(key, totpPlace(realm, principal, "draft")...)})
	return string(draft), err
}

// ReadTOTP tells the secret of a draft, for the page that adds it.
func (f *Factors) ReadTOTP(realm, principal, draft string) (TOTPKey, error) {
	t, key, err := f.openTOTP(realm, principal, "draft", draft)
	if err != nil {
		return TOTPKey{}, err
	}
	return TOTPKey{secret.Text(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)), t.Algorithm}, nil
}

// AddTOTP adds the factor of a draft if code is one of its present ones, and
// reports whether it was. The code is used by that. A draft that was added before
// is fault.Conflict: two apps with one secret would take each code twice.
func (f *Factors) AddTOTP(ctx context.Context, by audit.Actor, realm, principal, draft, name, code string) (c Credential, right bool, err error) {
	t, key, err := f.openTOTP(realm, principal, "draft", draft)
	if err != nil {
		return Credential{}, false, err
	}
	err = f.db.Update(ctx, realm, func(tx *db.Tx) error {
		step, ok := t.match(key, code, tx.Now, 0)
		if right = ok; !ok {
			return nil
		}
		if err := f.unshared(tx, realm, principal, key); err != nil {
			return err
		}
		c = Credential{ID: id.New("crd", tx.Now), Principal: principal, Type: TOTP, Name: name, LastUsedAt: tx.Now, counter: step}
		data, err := json.Marshal(totp{t.Algorithm, f.box.Seal(key, totpPlace(realm, principal, c.ID)...)})
		if err != nil {
			return err
		}
		c.data = string(data)
		c, err = addFactor(tx, by, c, maxTOTP)
		return err
	})
	if err != nil {
		return Credential{}, false, err
	}
	return c, right, nil
}

// unshared refuses the secret of an app that somebody has already.
func (f *Factors) unshared(tx *db.Tx, realm, principal string, key []byte) error {
	for a, err := range f.apps(tx, realm, principal) {
		if err != nil {
			return err
		}
		if secret.Equal(key, a.key) {
			return fault.New(fault.Conflict, "app_added", "this authenticator app was added a moment ago")
		}
	}
	return nil
}

// CheckTOTP finds the factor of a person whose code this is, and uses the code:
// it is accepted once, whoever brings it again and wherever (MF-01). Call it
// within [Factors.Guess].
func (f *Factors) CheckTOTP(ctx context.Context, realm, principal, code string) (used Credential, right bool, err error) {
	err = f.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		used, right = Credential{}, false
		for a, err := range f.apps(tx, realm, principal) {
			if err != nil {
				return err
			}
			step, ok := a.match(a.key, code, tx.Now, a.counter)
			if !ok {
				continue
			}
			// Whoever reads the same last step at once, one of them moves it.
			if right, err = advance(tx, a.ID, step); err != nil || right {
				used = a.Credential
				return err
			}
		}
		return nil
	})
	return used, right, err
}

// app is a time-based factor, opened.
type app struct {
	Credential
	totp
	key []byte
}

// apps opens the time-based factors of a person, one after the other.
func (f *Factors) apps(tx *db.Tx, realm, principal string) iter.Seq2[app, error] {
	return func(yield func(app, error) bool) {
		all, err := living(tx, principal)
		if err != nil {
			yield(app{}, err)
			return
		}
		for _, c := range all {
			if c.Type != TOTP {
				continue
			}
			t, key, err := f.openTOTP(realm, principal, c.ID, c.data)
			if !yield(app{c, t, key}, err) {
				return
			}
		}
	}
}

// match finds the step after the given one, not further than the window from
// now, whose code this is (RFC 6238, section 5.2). All steps are computed,
// whichever it is.
func (t totp) match(key []byte, code string, now time.Time, after int64) (step int64, ok bool) {
	code = plainCode(code)
	if len(code) != totpDigits {
		return 0, false
	}
	present := now.Unix() / int64(totpPeriod.Seconds())
	for at := present - totpWindow; at <= present+totpWindow; at++ {
		if secret.Equal([]byte(hotp(totpHashes[t.Algorithm], key, at, totpDigits)), []byte(code)) && at > after && !ok {
			step, ok = at, true
		}
	}
	return step, ok
}

// hotp is the code of a counter (RFC 4226, section 5.3).
func hotp(new func() hash.Hash, key []byte, counter int64, digits int) string {
	m := hmac.New(new, key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(counter)))
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	number := uint64(binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff)
	modulus := uint64(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, number%modulus)
}

// plainCode is a code as people type it without what they put between its digits,
// "" if that leaves anything but ASCII digits.
func plainCode(code string) string {
	if len(code) > 64 {
		return ""
	}
	code = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '-' {
			return -1
		}
		return c
	}, norm.NFKC.String(code))
	if strings.ContainsFunc(code, func(c rune) bool { return c < '0' || c > '9' }) {
		return ""
	}
	return code
}

func (f *Factors) openTOTP(realm, principal, place, data string) (t totp, key []byte, err error) {
	if err = json.Unmarshal([]byte(data), &t); err == nil && totpHashes[t.Algorithm] != nil {
		if key, err = f.box.Open(t.Sealed, totpPlace(realm, principal, place)...); err == nil {
			return t, key, nil
		}
	}
	return t, nil, fault.New(fault.Internal, "totp_unreadable", "the secret of a time-based factor of %s cannot be opened: %v", principal, err)
}

func totpPlace(realm, principal, id string) []string { return []string{realm, "totp", principal, id} }

// TOTPAlgorithms are those that a realm may choose from.
func TOTPAlgorithms() []string { return slices.Clone([]string{"SHA1", "SHA256", "SHA512"}) }

func tooMany(t Type, most int) error {
	return fault.New(fault.Conflict, "factors_exhausted", "a person has at most %d factors of type %s; remove one first", most, t)
}
