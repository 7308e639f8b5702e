package once

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

// AnswerKept is how long an answer can be asked for again.
const AnswerKept = 10 * time.Minute

// answered is the purpose under which answers are remembered.
const answered Purpose = "answer"

// Request names a request that can be repeated, by the key that its sender made
// up (draft-ietf-httpapi-idempotency-key-header).
type Request struct {
	By        string // who asks; keys of others are other keys
	Operation string // what for, down to the thing it is about
	Key       string
	Content   []byte // the rest of the request: with other content the key is refused
}

// Answers remembers what was answered to requests that make secrets, so that
// one whose answer was lost is not done twice. What it keeps is sealed, for ten
// minutes.
type Answers struct {
	store *Store
	box   *secret.Box
}

// NewAnswers keeps answers in s, sealed by box.
func NewAnswers(s *Store, box *secret.Box) *Answers { return &Answers{s, box} }

// kept is the payload of an answer.
type kept struct {
	Content [sha256.Size]byte `json:"content"`
	Sealed  []byte            `json:"sealed"`
}

// Once runs do in a serializable transaction and gives its answer. To a request
// that was answered before it gives the same answer, once every node has applied
// what that did, and does not run do. Without a key it always runs do.
func (a *Answers) Once(ctx context.Context, realm string, q Request, do func(tx *db.Tx) ([]byte, error)) (answer []byte, err error) {
	err = a.store.db.Update(ctx, realm, func(tx *db.Tx) error {
		if q.Key == "" {
			answer, err = do(tx)
			return err
		}
		answer, err = a.once(tx, q, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (a *Answers) once(tx *db.Tx, q Request, do func(tx *db.Tx) ([]byte, error)) ([]byte, error) {
	name := Bind(q.By, q.Operation, q.Key)
	v, outcome, err := a.store.Peek(tx, name, Use{Purpose: answered, Client: q.By})
	if err != nil {
		return nil, err
	}
	switch outcome {
	case OK:
		return a.again(tx, name, q, v)
	case Unknown:
		answer, err := do(tx)
		if err != nil {
			return nil, err
		}
		return answer, a.keep(tx, name, q, answer)
	}
	return nil, fault.New(fault.Conflict, "idempotency_key_old", "this Idempotency-Key was used too long ago, or before a failover; see what there is, then take a new one")
}

func (a *Answers) again(tx *db.Tx, name string, q Request, v Value) ([]byte, error) {
	var k kept
	if err := json.Unmarshal(v.Payload, &k); err != nil {
		return nil, err
	}
	if k.Content != sha256.Sum256(q.Content) {
		return nil, fault.New(fault.Conflict, "idempotency_key_reused", "this Idempotency-Key was used for another request")
	}
	audit.Barrier(tx)
	return a.box.Open(k.Sealed, "answer", tx.Realm, name)
}

func (a *Answers) keep(tx *db.Tx, name string, q Request, answer []byte) error {
	payload, err := json.Marshal(kept{sha256.Sum256(q.Content), a.box.Seal(answer, "answer", tx.Realm, name)})
	if err != nil {
		return err
	}
	err = a.store.Put(tx, secret.Text(name), Value{Purpose: answered, Subject: q.By, Client: q.By, Payload: payload, Expires: tx.Now.Add(AnswerKept)})
	if db.Taken(err) {
		return fault.New(fault.Unavailable, "idempotency_key_busy", "a request with this Idempotency-Key is being answered; try again").WithRetry(time.Second)
	}
	return err
}
