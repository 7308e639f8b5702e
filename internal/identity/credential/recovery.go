package credential

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

const (
	recoveryCodes = 10
	recoveryBytes = 10 // 80 bits each, so that a hash without a salt keeps them
	recoveryGroup = 4
)

// recoveryAlphabet has no letters that look like another (Crockford's base32).
var recoveryAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewRecovery gives a person a new set of recovery codes in place of the one
// they have. The codes are told this once; only their hashes are kept.
func (f *Factors) NewRecovery(ctx context.Context, by audit.Actor, realm, principal string) (c Credential, codes []secret.Text, err error) {
	err = f.db.Update(ctx, realm, func(tx *db.Tx) error {
		codes = nil
		var hashes []string
		for range recoveryCodes {
			code := newRecoveryCode()
			codes, hashes = append(codes, secret.Text(code)), append(hashes, hashed(plainRecovery(code)))
		}
		data, err := json.Marshal(hashes)
		if err != nil {
			return err
		}
		all, err := living(tx, principal)
		if err != nil {
			return err
		}
		for _, old := range all {
			if old.Type == Recovery {
				if err := RevokeTx(tx, by, old.ID, "replaced"); err != nil {
					return err
				}
			}
		}
		c, err = create(tx, by, Credential{ID: id.New("crd", tx.Now), Principal: principal, Type: Recovery, data: string(data)}, "")
		return err
	})
	if err != nil {
		return Credential{}, nil, err
	}
	return c, codes, nil
}

// CheckRecovery uses one of a person's recovery codes, each of which is good
// once, and tells how many are left. Call it within [Factors.Guess].
func (f *Factors) CheckRecovery(ctx context.Context, by audit.Actor, realm, principal, code string) (used Credential, left int, right bool, err error) {
	given := hashed(plainRecovery(code))
	err = f.db.Update(ctx, realm, func(tx *db.Tx) error {
		used, left, right = Credential{}, 0, false
		all, err := living(tx, principal)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Type != Recovery {
				continue
			}
			var hashes []string
			if err := json.Unmarshal([]byte(c.data), &hashes); err != nil {
				return err
			}
			at := slices.IndexFunc(hashes, func(h string) bool { return secret.Equal([]byte(h), []byte(given)) })
			if at < 0 {
				continue
			}
			rest := slices.Delete(hashes, at, at+1)
			data, err := json.Marshal(rest)
			if err != nil {
				return err
			}
			if right, err = replaceHash(tx, c.ID, c.Version, string(data)); err != nil || !right {
				return err // somebody was faster, with this code or another
			}
			used, left = c, len(rest)
			audit.Append(tx, by, audit.Event{Action: "credential.recovery_use", TargetType: string(Recovery), Target: c.ID,
				Data: map[string]any{"principal": principal, "left": left}, Invalidates: true})
			return noteUse(tx, c.ID)
		}
		return nil
	})
	return used, left, right, err
}

// CodesLeft is how many codes of a set were not used.
func (c Credential) CodesLeft() int {
	var hashes []string
	if c.Type != Recovery || json.Unmarshal([]byte(c.data), &hashes) != nil {
		return 0
	}
	return len(hashes)
}

// newRecoveryCode is a code as it is shown: groups with hyphens between.
func newRecoveryCode() string {
	var b [recoveryBytes]byte
	rand.Read(b[:])
	text := recoveryAlphabet.EncodeToString(b[:])
	var groups []string
	for chunk := range slices.Chunk([]byte(text), recoveryGroup) {
		groups = append(groups, string(chunk))
	}
	return strings.Join(groups, "-")
}

// plainRecovery is what of a typed code counts: neither spaces and hyphens nor
// case, and what looks alike is the same.
func plainRecovery(code string) string {
	if len(code) > 128 {
		return ""
	}
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ' || c == '-' || c == '\t':
			return -1
		case c == 'o':
			return '0'
		case c == 'i' || c == 'l':
			return '1'
		}
		return c
	}, strings.ToLower(code))
}
