package statuslist

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Token is the content of a Status List Token (draft-ietf-oauth-status-list,
// section 5.1). Bits per index is always one: alive or dead.
type Token struct {
	URI      string        // sub: the list's own address
	IssuedAt time.Time     // iat
	Expires  time.Time     // exp; zero if absent
	TTL      time.Duration // ttl: how long a copy may be used without asking again; zero if absent
	Lst      string        // the encoded bitmap
}

type tokenJSON struct {
	Sub string `json:"sub"`
	Iat int64  `json:"iat"`
	Exp int64  `json:"exp,omitempty"`
	TTL int64  `json:"ttl,omitempty"`
	SL  *list  `json:"status_list"`
}

type list struct {
	Bits int    `json:"bits"`
	Lst  string `json:"lst"`
}

// Claims encodes the token's claims, ready to be signed with type TypeList.
func (t Token) Claims() []byte {
	j := tokenJSON{Sub: t.URI, Iat: t.IssuedAt.Unix(), TTL: int64(t.TTL / time.Second), SL: &list{1, t.Lst}}
	if !t.Expires.IsZero() {
		j.Exp = t.Expires.Unix()
	}
	b, _ := json.Marshal(j) // plain fields always marshal
	return b
}

// ParseToken reads claims whose signature and type have been verified. That sub
// is the address asked for, and that the token is not too old, is for the
// caller to check.
func ParseToken(claims []byte) (Token, error) {
	var j tokenJSON
	if err := json.Unmarshal(claims, &j); err != nil {
		return Token{}, errors.New("status list token: wrong shape")
	}
	switch {
	case j.SL == nil || j.SL.Lst == "":
		return Token{}, errors.New("status list token: no status_list")
	case j.SL.Bits != 1:
		return Token{}, fmt.Errorf("status list token: %d bits per index, not 1", j.SL.Bits)
	case j.Sub == "" || j.Iat <= 0:
		return Token{}, errors.New("status list token: sub or iat is missing")
	case j.TTL < 0 || j.TTL > 1<<31 || j.Exp < 0 || j.Exp > 1<<40 || j.Iat > 1<<40:
		return Token{}, errors.New("status list token: a time is out of range")
	}
	t := Token{URI: j.Sub, IssuedAt: time.Unix(j.Iat, 0).UTC(), TTL: time.Duration(j.TTL) * time.Second, Lst: j.SL.Lst}
	if j.Exp > 0 {
		t.Expires = time.Unix(j.Exp, 0).UTC()
	}
	return t, nil
}

// Ref is where a token's status is kept: the claim status.status_list.
type Ref struct {
	URI   string
	Index int64
}
