package token

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/secret"
)

// An opaque token is its claims, sealed under the realm's rotating key. Making
// and reading it takes no database; whoever holds it learns nothing from it,
// not even from its length, which comes in steps.

// The first byte of what is sealed. The second form has actors, and behind all
// else authorization details; tokens with neither keep the first, which nodes of
// an older version read too.
const opaqueV1, opaqueV2 = 1, 2

// opaqueStep is what the length of the claims is filled up to a multiple of.
const opaqueStep = 128

// sealRoom has room for nearly all tokens, sealed.
type sealRoom [4 * opaqueStep]byte

func (g *Gate) seal(ctx context.Context, t *Token) (string, error) {
	var space [6 * opaqueStep]byte
	text, err := g.appendSealed(ctx, space[:0], t)
	return string(text), err
}

// appendSealed appends a token to an answer that is being made.
func (g *Gate) appendSealed(ctx context.Context, b []byte, t *Token) ([]byte, error) {
	sealer, err := g.Ring.Sealer(ctx, t.Realm)
	if err != nil {
		return nil, err
	}
	room := g.rooms.Get().(*sealRoom) // sealed in place, so that no claim stays in it
	defer g.rooms.Put(room)
	plain, err := appendOpaque(room[:keyring.SealHead], t)
	if err != nil {
		return nil, err
	}
	sealed := sealer.Seal(plain, opaquePlace(t.Realm, t.Minted.Epoch)...)
	return secret.AppendEncode(b, OpaquePrefix, sealed), nil
}

// opaquePlace is what a sealed token is bound to: it opens in no other realm,
// as nothing else, and in no other epoch of the log.
func opaquePlace(realm string, epoch int64) []string {
	return []string{realm, "access_token", strconv.FormatInt(epoch, 10)}
}

func appendOpaque(b []byte, t *Token) ([]byte, error) {
	start := len(b)
	form := byte(opaqueV1)
	if len(t.Actors) > 0 || t.Details.Text != "" || t.Details.Hash != "" {
		form = opaqueV2
	}
	b, err := base64.RawURLEncoding.AppendDecode(append(b, form), []byte(t.ID))
	if err != nil || len(b) != start+1+16 {
		return nil, errors.New("token: jti is not 16 bytes")
	}
	b = appendField(appendField(appendField(appendField(b, t.Subject), t.Principal), t.Client), t.Grant)
	b = appendField(appendField(appendField(appendField(b, t.Status.List), t.ACR), t.Bound.JKT), t.Bound.X5T)
	b = appendFields(appendFields(appendFields(b, t.Scopes), t.Audience), t.AMR)
	if form == opaqueV2 {
		b = appendFields(b, t.Actors)
	}
	b = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(b, t.Status.Index), t.Minted.Epoch), t.Minted.Seq)
	b = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(b, t.Issued.Unix()), t.Expires.Unix()), unix(t.AuthTime))
	if form == opaqueV2 {
		b = appendField(appendField(b, t.Details.Text), t.Details.Hash)
		b = binary.AppendVarint(b, int64(len(t.Details.At)))
		for _, n := range t.Details.At {
			b = binary.AppendVarint(b, int64(n))
		}
	}
	return append(b, make([]byte, (opaqueStep-(len(b)-start)%opaqueStep)%opaqueStep)...), nil
}

func appendField(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFields(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendField(b, s)
	}
	return b
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// open reads an opaque token of this realm and epoch.
func (g *Gate) open(ctx context.Context, realm, value string) (*Token, error) {
	sealed, ok := secret.Decode(OpaquePrefix, value)
	if !ok {
		return nil, errInvalid
	}
	sealer, err := g.Ring.Sealer(ctx, realm)
	if err != nil {
		return nil, err
	}
	plain, err := sealer.Open(sealed, opaquePlace(realm, g.log.Applied().Epoch)...)
	if err != nil {
		return nil, errInvalid
	}
	t, ok := readOpaque(plain)
	if !ok {
		return nil, errInvalid
	}
	t.Realm = realm
	return t, nil
}

// readOpaque reads what appendOpaque wrote. The seal has vouched for it.
func readOpaque(b []byte) (*Token, bool) {
	r := reader{b: b, ok: true}
	form := r.byte()
	if form != opaqueV1 && form != opaqueV2 {
		return nil, false
	}
	t := &Token{ID: base64.RawURLEncoding.EncodeToString(r.take(16))}
	for _, s := range []*string{&t.Subject, &t.Principal, &t.Client, &t.Grant, &t.Status.List, &t.ACR, &t.Bound.JKT, &t.Bound.X5T} {
		*s = r.field()
	}
	lists := []*[]string{&t.Scopes, &t.Audience, &t.AMR}
	if form == opaqueV2 {
		lists = append(lists, &t.Actors)
	}
	for _, list := range lists {
		*list = r.list()
	}
	t.Status.Index = r.number()
	t.Minted = audit.Position{Epoch: r.number(), Seq: r.number()}
	t.Issued, t.Expires, t.AuthTime = fromUnix(r.number()), fromUnix(r.number()), fromUnix(r.number())
	if form == opaqueV2 {
		t.Details.Text, t.Details.Hash = r.field(), r.field()
		for n := r.number(); n > 0 && r.ok; n-- {
			t.Details.At = append(t.Details.At, int(r.number()))
		}
	}
	return t, r.ok && (t.Details.Hash != "" || t.Details.At == nil) // places of no details were never written
}

// reader takes fields off a byte slice; after the first that is missing ok is
// false and all else is zero.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) take(n int) []byte {
	if !r.ok || n < 0 || n > len(r.b) {
		r.ok = false
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if one := r.take(1); one != nil {
		return one[0]
	}
	return 0
}

func (r *reader) length() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)) {
		r.ok = false
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *reader) field() string { return string(r.take(r.length())) }

func (r *reader) list() []string {
	n := r.length()
	if n == 0 || !r.ok {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.field()
	}
	return list
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.ok = false
		return 0
	}
	r.b = r.b[size:]
	return n
}
