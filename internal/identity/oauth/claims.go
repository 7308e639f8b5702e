package oauth

import (
	"encoding/json"
	"slices"

	"github.com/cardea-id/cardea/internal/jose"
)

// Bounds of a claims parameter.
const (
	maxClaims      = 4 << 10 // bytes
	maxClaimNames  = 50      // in each of its two parts
	maxClaimValues = 20
	maxClaimName   = 100 // bytes
)

// claimsRequest is a claims parameter (OpenID Connect Core, section 5.5). The
// zero value asks for nothing.
type claimsRequest struct {
	UserInfo map[string]claimWanted
	IDToken  map[string]claimWanted
}

// claimWanted says how one claim is asked for.
type claimWanted struct {
	Essential bool
	Values    []string // acceptable values, strings only; empty: any
}

// has reports whether a claim is asked for.
func has(m map[string]claimWanted, name string) bool { _, ok := m[name]; return ok }

// parseClaims reads a claims parameter. Parts and members it does not know are
// ignored, as section 5.5 asks; what is malformed or beyond the bounds is
// refused.
func parseClaims(text string) (claimsRequest, error) {
	if text == "" {
		return claimsRequest{}, nil
	}
	if len(text) > maxClaims {
		return claimsRequest{}, badRequest("claims is longer than 4096 bytes")
	}
	o, err := jose.ParseObject([]byte(text))
	if err != nil {
		return claimsRequest{}, badRequest("claims is not a JSON object")
	}
	var c claimsRequest
	for part, to := range map[string]*map[string]claimWanted{"userinfo": &c.UserInfo, "id_token": &c.IDToken} {
		raw, ok := o.Raw(part)
		if !ok || string(raw) == "null" {
			continue
		}
		if *to, err = parseWanted(raw); err != nil {
			return claimsRequest{}, err
		}
	}
	return c, nil
}

func parseWanted(raw []byte) (map[string]claimWanted, error) {
	o, err := jose.ParseObject(raw)
	if err != nil {
		return nil, badRequest("userinfo and id_token in claims are objects")
	}
	if len(o.Members()) > maxClaimNames {
		return nil, badRequest("claims asks for more than 50 claims at once")
	}
	wanted := make(map[string]claimWanted, len(o.Members()))
	for _, m := range o.Members() {
		if len(m.Name) > maxClaimName {
			return nil, badRequest("claims names a claim of more than 100 bytes")
		}
		w, err := parseOne(m.Raw)
		if err != nil {
			return nil, err
		}
		wanted[m.Name] = w
	}
	return wanted, nil
}

func parseOne(raw []byte) (claimWanted, error) {
	var w claimWanted
	if string(raw) == "null" {
		return w, nil
	}
	o, err := jose.ParseObject(raw)
	if err != nil {
		return w, badRequest("a claim is asked for by null or an object")
	}
	if err := o.Decode("essential", &w.Essential); err != nil {
		return w, badRequest("essential is true or false")
	}
	if v, err := o.String("value"); err == nil && v != "" {
		w.Values = []string{v}
	}
	if values, ok := o.Raw("values"); ok {
		var list []json.RawMessage
		if json.Unmarshal(values, &list) != nil || len(list) > maxClaimValues {
			return w, badRequest("values is a list of at most 20")
		}
		for _, v := range list {
			var text string
			if json.Unmarshal(v, &text) == nil {
				w.Values = append(w.Values, text)
			}
		}
	}
	return w, nil
}

// accepts reports whether a value is one of those asked for.
func (w claimWanted) accepts(value string) bool {
	return len(w.Values) == 0 || slices.Contains(w.Values, value)
}
