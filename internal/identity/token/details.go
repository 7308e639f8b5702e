package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/jose"
)

// Details are the authorization details of a token, or what stands for them.
type Details struct {
	Text string // a JSON array; "" where a hash stands for it
	Hash string // its SHA-256 in base64url; "" where it is carried
	At   []int  // which of the grant's they are, where a hash stands for them; nil: all
}

// maxSealedDetails is how many bytes of details a sealed token carries itself.
const maxSealedDetails = 512

// hashed is what stands for details that are too large to be carried. It is
// looked up in the grant, so details that no grant has cannot be replaced.
func (t *Token) hashed(p *passed, at []int) (Details, bool) {
	if t.Details.Text == "" || p.grant.Details == "" {
		return Details{}, false
	}
	return Details{Hash: DetailsHash(t.Details.Text), At: at}, true
}

// DetailsHash stands for authorization details in a token that could not carry
// them: the SHA-256 of the JSON array, in base64url.
func DetailsHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func appendDetails(b []byte, d Details) []byte {
	if d.Text != "" {
		b = append(append(b, `,"authorization_details":`...), d.Text...)
	}
	if d.Hash == "" {
		return b
	}
	b = appendText(append(b, `,"authorization_details_hash":`...), d.Hash)
	if d.At == nil {
		return b
	}
	b = append(b, `,"authorization_details_at":[`...)
	for i, n := range d.At {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(b, ']')
}

func readDetails(c jose.Claims) (d Details, err error) {
	if raw, ok := c.Raw("authorization_details"); ok {
		if raw[0] != '[' {
			return d, errInvalid
		}
		d.Text = string(raw)
	}
	if d.Hash, err = c.String("authorization_details_hash"); err != nil {
		return d, err
	}
	if raw, ok := c.Raw("authorization_details_at"); ok && json.Unmarshal(raw, &d.At) != nil {
		return d, errInvalid
	}
	return d, nil
}

// detailed checks that the details asked for are among those granted, word for
// word, and of types that the client may have today. What a client asks for
// itself rests on the client alone.
func (p *passed) detailed(q *Request) error {
	if q.Details == "" {
		return nil
	}
	own := p.grant.Kind == grant.Standing
	if p.grant.Details == "" && !own {
		return fault.New(fault.Forbidden, "details_exceeded", "the grant has no authorization details")
	}
	asked, err := detail.Parse(q.Details)
	if err != nil {
		return fault.New(fault.Forbidden, "details_exceeded", "the authorization details cannot be read: %v", err)
	}
	for _, d := range asked {
		if !p.client.AllowsDetail(d.Type) {
			return fault.New(fault.Forbidden, "details_exceeded", "client %q may not have authorization details of type %q", p.client.ID, d.Type)
		}
	}
	if own || q.Details == p.grant.Details {
		return nil
	}
	all, err := detail.Parse(p.grant.Details)
	if err != nil {
		return err
	}
	if _, ok := asked.Among(all); !ok {
		return fault.New(fault.Forbidden, "details_exceeded", "the grant does not have every one of the authorization details")
	}
	return nil
}
