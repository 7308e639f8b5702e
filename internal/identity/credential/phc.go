package credential

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/cardea-id/cardea/internal/secret"
)

// argon are the parameters of argon2id: memory in KiB, passes, lanes.
type argon struct{ memory, passes, lanes uint32 }

// preferred is how new passwords are hashed (OWASP's first choice). Passwords
// hashed in any other way are hashed anew at the next sign-in.
var preferred = argon{memory: 19456, passes: 2, lanes: 1}

// cheap is how the tests of other things hash; see PasswordOptions.
var cheap = argon{memory: 8, passes: 1, lanes: 1}

const (
	saltBytes = 16
	hashBytes = 32
)

// Bounds of parameters read from the database or an import: whoever can write
// one row must not be able to exhaust a node (PW-08).
const (
	maxMemory       = 128 << 10 // KiB
	maxPasses       = 16
	maxLanes        = 16
	maxBcryptCost   = 14
	maxScryptLog    = 17
	maxScryptBlock  = 16
	maxScryptLanes  = 4
	maxPBKDF2Rounds = 2_000_000
	maxHashText     = 512
)

var errHash = errors.New("not a password hash of a known form within its bounds")

// verifier checks a password against one stored hash.
type verifier interface {
	matches(password string) bool
	current(argon) bool // hashed as new passwords are
}

// parseHash reads a stored hash: the PHC string format for argon2id, scrypt and
// pbkdf2, and bcrypt's own.
func parseHash(text string) (verifier, error) {
	if len(text) > maxHashText {
		return nil, errHash
	}
	if strings.HasPrefix(text, "$2a$") || strings.HasPrefix(text, "$2b$") || strings.HasPrefix(text, "$2y$") {
		return parseBcrypt(text)
	}
	f := strings.Split(text, "$")
	if len(f) < 5 || f[0] != "" {
		return nil, errHash
	}
	switch {
	case f[1] == "argon2id":
		return parseArgon(f[2:])
	case f[1] == "scrypt":
		return parseScrypt(f[2:])
	case strings.HasPrefix(f[1], "pbkdf2"):
		return parsePBKDF2(f[1], f[2:])
	}
	return nil, errHash
}

type argonHash struct {
	argon
	salt, sum []byte
}

func parseArgon(f []string) (verifier, error) {
	if len(f) != 4 || f[0] != "v=19" {
		return nil, errHash
	}
	var h argonHash
	err := parameters(f[1], map[string]*uint32{"m": &h.memory, "t": &h.passes, "p": &h.lanes})
	if err != nil || h.memory < 8*h.lanes || h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.lanes < 1 || h.lanes > maxLanes {
		return nil, errHash
	}
	h.salt, h.sum, err = saltAndSum(f[2], f[3])
	return h, err
}

func (h argonHash) matches(password string) bool {
	return secret.Equal(h.sum, h.derive(password, h.salt, uint32(len(h.sum))))
}

func (h argonHash) current(now argon) bool {
	return h.argon == now && len(h.salt) == saltBytes && len(h.sum) == hashBytes
}

func (a argon) derive(password string, salt []byte, length uint32) []byte {
	return argon2.IDKey([]byte(password), salt, a.passes, a.memory, uint8(a.lanes), length)
}

// hash makes the text to store for a new password.
func (a argon) hash(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", a.memory, a.passes, a.lanes, encode(salt), encode(a.derive(password, salt, hashBytes)))
}

// decoy is what the password of nobody is checked against: it costs what a real
// one does and never matches.
type decoy struct{ argon }

func (d decoy) matches(password string) bool {
	d.derive(password, make([]byte, saltBytes), hashBytes)
	return false
}

func (decoy) current(argon) bool { return true }

type bcryptHash struct{ text []byte }

func parseBcrypt(text string) (verifier, error) {
	if strings.HasPrefix(text, "$2y$") {
		text = "$2b$" + text[4:] // crypt_blowfish's name for the same
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil || cost > maxBcryptCost {
		return nil, errHash
	}
	return bcryptHash{[]byte(text)}, nil
}

// matches ignores what is behind byte 72, as whoever made the hash did. The
// sign-in that succeeds hashes the whole password anew.
func (h bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword(h.text, []byte(password[:min(len(password), 72)])) == nil
}

func (bcryptHash) current(argon) bool { return false }

type scryptHash struct {
	log, block, lanes uint32
	salt, sum         []byte
}

func parseScrypt(f []string) (verifier, error) {
	var h scryptHash
	if len(f) != 3 {
		return nil, errHash
	}
	err := parameters(f[0], map[string]*uint32{"ln": &h.log, "r": &h.block, "p": &h.lanes})
	if err != nil || h.log < 1 || h.log > maxScryptLog || h.block < 1 || h.block > maxScryptBlock || h.lanes < 1 || h.lanes > maxScryptLanes ||
		uint64(128)<<h.log*uint64(h.block) > maxMemory<<10 {
		return nil, errHash
	}
	h.salt, h.sum, err = saltAndSum(f[1], f[2])
	return h, err
}

func (h scryptHash) matches(password string) bool {
	sum, err := scrypt.Key([]byte(password), h.salt, 1<<h.log, int(h.block), int(h.lanes), len(h.sum))
	return err == nil && secret.Equal(h.sum, sum)
}

func (scryptHash) current(argon) bool { return false }

type pbkdf2Hash struct {
	digest    func() hash.Hash
	rounds    uint32
	salt, sum []byte
}

func parsePBKDF2(name string, f []string) (verifier, error) {
	digests := map[string]func() hash.Hash{"pbkdf2": sha1.New, "pbkdf2-sha1": sha1.New, "pbkdf2-sha256": sha256.New, "pbkdf2-sha512": sha512.New}
	h := pbkdf2Hash{digest: digests[name]}
	if h.digest == nil || len(f) != 3 {
		return nil, errHash
	}
	// The rounds stand alone, as Python's passlib writes them, or as i=….
	rounds := f[0]
	if !strings.Contains(rounds, "=") {
		rounds = "i=" + rounds
	}
	err := parameters(rounds, map[string]*uint32{"i": &h.rounds})
	if err != nil || h.rounds < 1 || h.rounds > maxPBKDF2Rounds {
		return nil, errHash
	}
	h.salt, h.sum, err = saltAndSum(strings.ReplaceAll(f[1], ".", "+"), strings.ReplaceAll(f[2], ".", "+"))
	return h, err
}

func (h pbkdf2Hash) matches(password string) bool {
	sum, err := pbkdf2.Key(h.digest, password, h.salt, int(h.rounds), len(h.sum))
	return err == nil && secret.Equal(h.sum, sum)
}

func (pbkdf2Hash) current(argon) bool { return false }

// parameters reads k=v pairs, all of want once and no others. An l for the
// length, which the hash shows anyway, is skipped.
func parameters(text string, want map[string]*uint32) error {
	seen := 0
	for pair := range strings.SplitSeq(text, ",") {
		k, v, _ := strings.Cut(pair, "=")
		if k == "l" {
			continue
		}
		to, known := want[k]
		n, err := strconv.ParseUint(v, 10, 32)
		if !known || err != nil || *to != 0 {
			return errHash
		}
		*to = uint32(n)
		seen++
	}
	if seen != len(want) {
		return errHash
	}
	return nil
}

func saltAndSum(salt, sum string) ([]byte, []byte, error) {
	a, err1 := base64.RawStdEncoding.DecodeString(strings.TrimRight(salt, "="))
	b, err2 := base64.RawStdEncoding.DecodeString(strings.TrimRight(sum, "="))
	if err1 != nil || err2 != nil || len(a) < 8 || len(a) > 64 || len(b) < 16 || len(b) > 64 {
		return nil, nil, errHash
	}
	return a, b, nil
}
