package grant

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/secret"
)

// RefreshPrefix begins every refresh token.
const RefreshPrefix = "cdr_"

// A refresh token names its grant, the secret seed of its family and its place
// in it, and proves by a MAC that we made it. So its successor can be computed
// from it, and from the whole past of a family nothing needs to be stored but
// the hash of its last token: an older one is known by its MAC, and shows that
// two parties hold the family. The seed is nowhere but in the tokens: neither
// the database nor the key tells a token.
type refreshText struct {
	grant      string
	seed       [16]byte
	generation int64
}

const (
	refreshV1   = 1
	refreshMAC  = 32
	grantPrefix = "gnt_"
)

// firstRefresh begins a family.
func firstRefresh(grant string) refreshText {
	t := refreshText{grant: grant, generation: 1}
	rand.Read(t.seed[:])
	return t
}

// next is the successor's place.
func (t refreshText) next() refreshText {
	t.generation++
	return t
}

// encode writes the token: version, seed, generation, MAC, and what follows the
// prefix of the grant's id. The key is the realm's.
func (t refreshText) encode(key []byte, realm string) secret.Text {
	b := append(make([]byte, 0, 96), refreshV1)
	b = append(b, t.seed[:]...)
	b = binary.AppendUvarint(b, uint64(t.generation))
	b = append(b, t.mac(key, realm)...)
	b = append(b, strings.TrimPrefix(t.grant, grantPrefix)...)
	return secret.Text(secret.Encode(RefreshPrefix, b))
}

func (t refreshText) mac(key []byte, realm string) []byte {
	return secret.Derive(key, "refresh token", realm, t.grant, string(t.seed[:]), strconv.FormatInt(t.generation, 10))
}

// readRefresh reads a token that was made with this key in this realm. It says
// nothing about whether the token is good.
func readRefresh(key []byte, realm, token string) (refreshText, bool) {
	var t refreshText
	b, ok := secret.Decode(RefreshPrefix, token)
	if !ok || len(b) < 1+len(t.seed) || b[0] != refreshV1 {
		return t, false
	}
	b = b[1+copy(t.seed[:], b[1:]):]
	generation, n := binary.Uvarint(b)
	if n <= 0 || n != len(binary.AppendUvarint(nil, generation)) || generation == 0 || generation > 1<<62 || len(b) < n+refreshMAC {
		return t, false
	}
	t.generation, t.grant = int64(generation), grantPrefix+string(b[n+refreshMAC:])
	return t, secret.Equal(b[n:n+refreshMAC], t.mac(key, realm))
}
