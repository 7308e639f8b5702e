package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
)

// Checkpoint says that a realm's log had this size and this root. Whoever keeps
// one elsewhere can prove later that nothing before it was changed or removed.
type Checkpoint struct {
	Size int64
	At   time.Time
	Root tlog.Hash
	Note string // the C2SP tlog-checkpoint, signed; see note.Open
}

// Signer signs a realm's checkpoints. Verifier is its public half in the form
// of golang.org/x/mod/sumdb/note.
type Signer func(realm string) (signer note.Signer, verifier string, err error)

// SetSigner sets what signs checkpoints. Without one there are none.
func (l *Log) SetSigner(s Signer) { l.sign.Store(&s) }

// Verifier returns the public key of a realm's checkpoints.
func (l *Log) Verifier(realm string) (string, error) {
	s := l.sign.Load()
	if s == nil {
		return "", errNoSigner
	}
	_, v, err := (*s)(realm)
	return v, err
}

var errNoSigner = fmt.Errorf("audit: no signer of checkpoints is set")

// Checkpoint signs and stores the present size and root of a realm's log. With
// nothing new it returns the last one.
func (l *Log) Checkpoint(ctx context.Context, realm string) (c Checkpoint, err error) {
	s := l.sign.Load()
	if s == nil {
		return c, errNoSigner
	}
	signer, _, err := (*s)(realm)
	if err != nil {
		return c, err
	}
	err = l.ctl.SystemRC(ctx, func(tx *db.Tx) error {
		t, err := loadTree(tx, realm)
		if err != nil {
			return err
		}
		if c, err = checkpointAt(tx, realm, t.size); err == nil || !db.Missing(err) {
			return err
		}
		c = Checkpoint{Size: t.size, At: tx.Now, Root: t.root()}
		text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return err
		}
		c.Note = string(signed)
		return insertCheckpoint(tx, realm, c)
	})
	return c, err
}

// Ed25519Signer makes a Signer from what gives each realm its key. A realm's
// checkpoints are signed in the name origin/realm.
func Ed25519Signer(origin string, key func(realm string) ed25519.PrivateKey) Signer {
	return func(realm string) (note.Signer, string, error) {
		name, k := origin+"/"+realm, key(realm)
		text, err := note.NewEd25519VerifierKey(name, k.Public().(ed25519.PublicKey))
		if err != nil {
			return nil, "", err
		}
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, "", err
		}
		return noteSigner{v.Name(), v.KeyHash(), k}, text, nil
	}
}

type noteSigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s noteSigner) Name() string                    { return s.name }
func (s noteSigner) KeyHash() uint32                 { return s.hash }
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }
