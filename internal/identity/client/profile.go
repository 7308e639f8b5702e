package client

import (
	"maps"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

// Profile names a set of rules. A realm has one for all of its clients; a client
// may have one that asks for no less.
type Profile string

const (
	ProfileDefault Profile = "default" // OAuth 2.1
	ProfileMCP     Profile = "mcp"     // Model Context Protocol, authorization
	ProfileFAPI2   Profile = "fapi2"   // FAPI 2.0 Security Profile
)

// Rules are what is asked of a client and its requests beyond what is asked of
// everybody. The zero value asks for nothing more.
type Rules struct {
	Pushed          bool // authorization requests are pushed (RFC 9126)
	SignedRequests  bool // and signed (RFC 9101)
	SignedResponses bool // and answered signed (JARM)
	Timed           bool // request objects have an exp and an nbf
	Bound           bool // access tokens are bound to a key or certificate
	PKCE            bool // no client is excused from PKCE
	IssuerAudience  bool // no client is excused from naming the issuer in assertions, as a string
	HTTPS           bool // answers go to https, but for native clients
	Resource        bool // who asks for tokens names what they are for (RFC 8707)
	RefreshStays    bool // refresh tokens are not rotated: a key is needed with them

	AuthMethods []AuthMethod // the only ways to authenticate; nil: all
	Algorithms  []string     // the only signatures, ours and the client's; nil: all
}

// profiles is what each profile asks for: one row a profile, as its
// specification has it. FAPI 2.0 Message Signing is the same with the switches
// for signed requests and answers.
var profiles = []struct {
	name  Profile
	rules Rules
}{
	{ProfileDefault, Rules{}},
	{ProfileMCP, Rules{PKCE: true, Resource: true}},
	{ProfileFAPI2, Rules{
		Pushed: true, Timed: true, Bound: true, PKCE: true, IssuerAudience: true, HTTPS: true, RefreshStays: true,
		AuthMethods: []AuthMethod{PrivateKeyJWT, TLSClientAuth, SelfSignedTLS},
		Algorithms:  []string{"PS256", "ES256", "EdDSA"},
	}},
}

// rules of a profile. One that nobody knows lets no client in.
func (p Profile) rules() Rules {
	if r, ok := p.find(); ok || p == "" {
		return r
	}
	return Rules{AuthMethods: []AuthMethod{}, Algorithms: []string{}}
}

func (p Profile) find() (Rules, bool) {
	for i := range profiles {
		if profiles[i].name == p {
			return profiles[i].rules, true
		}
	}
	return Rules{}, false
}

// and are the rules of both.
func (r Rules) and(o Rules) Rules {
	return Rules{
		Pushed: r.Pushed || o.Pushed, SignedRequests: r.SignedRequests || o.SignedRequests, SignedResponses: r.SignedResponses || o.SignedResponses,
		Timed: r.Timed || o.Timed, Bound: r.Bound || o.Bound, PKCE: r.PKCE || o.PKCE,
		IssuerAudience: r.IssuerAudience || o.IssuerAudience, HTTPS: r.HTTPS || o.HTTPS, Resource: r.Resource || o.Resource, RefreshStays: r.RefreshStays || o.RefreshStays,
		AuthMethods: common(r.AuthMethods, o.AuthMethods), Algorithms: common(r.Algorithms, o.Algorithms),
	}
}

// common is what two lists both allow. Nil allows everything.
func common[T comparable](a, b []T) []T {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	both := make([]T, 0, len(a))
	for _, v := range a {
		if slices.Contains(b, v) {
			both = append(both, v)
		}
	}
	return both
}

// covers reports whether whoever follows r follows o.
func (r Rules) covers(o Rules) bool {
	both := r.and(o)
	return both.flags() == r.flags() && len(both.AuthMethods) == len(r.AuthMethods) && len(both.Algorithms) == len(r.Algorithms)
}

func (r Rules) flags() [10]bool {
	return [...]bool{r.Pushed, r.SignedRequests, r.SignedResponses, r.Timed, r.Bound, r.PKCE, r.IssuerAudience, r.HTTPS, r.Resource, r.RefreshStays}
}

// AllowsMethod reports whether clients may authenticate this way.
func (r Rules) AllowsMethod(m AuthMethod) bool {
	return r.AuthMethods == nil || slices.Contains(r.AuthMethods, m)
}

// AllowsAlg reports whether a signature of this algorithm may be taken or made.
func (r Rules) AllowsAlg(alg string) bool {
	return r.Algorithms == nil || slices.Contains(r.Algorithms, alg)
}

// Algs are the algorithms that clients may name, in the order of [Algorithms].
func (r Rules) Algs() []string {
	return slices.DeleteFunc(Algorithms(), func(alg string) bool { return !r.AllowsAlg(alg) })
}

// RealmRules are what a realm asks of all of its clients.
func RealmRules(s *realm.Settings) Rules {
	return Profile(s.Profile).rules().and(Rules{SignedRequests: s.SignedRequests == "required", SignedResponses: s.SignedResponses == "required"})
}

// own are the rules that a client's settings ask for.
func (s *Settings) own() Rules {
	return s.Profile.rules().and(Rules{Pushed: s.RequirePushedRequests, SignedRequests: s.RequireSignedRequestObject,
		SignedResponses: s.RequireSignedResponses, Bound: s.DPoPBoundAccessTokens || s.TLSBoundAccessTokens})
}

// Rules are those of the client and of its realm together. A client that was
// made with the realm follows its own only: it is how operators come in.
func (c *Client) Rules(rl *realm.Realm) Rules {
	if c.BuiltIn {
		return c.own()
	}
	return c.own().and(RealmRules(&rl.Settings))
}

// Terms are the rules that hold for a client, and how its settings contradict
// them, or "". They are shared: do not change them.
type Terms struct {
	Rules
	Contradiction string

	client *Client
	realm  *realm.Realm
}

// Terms are those of the client and of its realm together. Both stay as they were
// read until they are read anew, so the terms of the same two are kept. A copy of a
// client, which may have other settings, has terms of its own.
func (c *Client) Terms(rl *realm.Realm) *Terms {
	if c.terms != nil {
		if t := c.terms.Load(); t != nil && t.client == c && t.realm == rl {
			return t
		}
	}
	rules := c.Rules(rl)
	t := &Terms{Rules: rules, Contradiction: c.Contradiction(rules), client: c, realm: rl}
	if c.terms != nil {
		c.terms.Store(t)
	}
	return t
}

// Contradiction says how the client's settings contradict the rules that hold
// for it today (see [Client.Rules]), or "". One that contradicts them is let in nowhere: its realm's
// rules may have changed since they were saved.
func (c *Client) Contradiction(rules Rules) string {
	found := c.contradictions(rules)
	if len(found) == 0 {
		return ""
	}
	field := slices.Min(slices.Collect(maps.Keys(found)))
	return field + " " + found[field]
}

// contradictions are the settings that no request could make up for, with what
// is wrong with them.
func (s *Settings) contradictions(r Rules) map[string]string {
	var found map[string]string
	say := func(contradicts bool, field, why string) {
		if contradicts {
			if found == nil {
				found = map[string]string{}
			}
			found[field] = why
		}
	}
	if !r.AllowsMethod(s.AuthMethod) {
		say(true, "token_endpoint_auth_method", "must be one of "+words(r.AuthMethods)+", as the profile has it")
	}
	say(r.PKCE && s.PKCEOptional, "pkce_optional", "contradicts the profile: PKCE is needed")
	say(r.IssuerAudience && s.LegacyAssertionAudience, "legacy_assertion_audience", "contradicts the profile: assertions name the issuer")
	say(r.HTTPS && s.Type != Native && slices.ContainsFunc(s.RedirectURIs, plainHTTP), "redirect_uris", "contradicts the profile: http is for native clients only")
	if r.Algorithms != nil {
		for field, alg := range s.algorithms() {
			say(alg != "" && !r.AllowsAlg(alg), field, "is "+alg+" and must be one of "+strings.Join(r.Algorithms, ", ")+", as the profile has it")
		}
		say(s.IDTokenAlg == "" && !r.AllowsAlg(s.IDTokenAlgorithm()), "openid_defaults", "contradicts the profile: ID tokens would be signed with "+s.IDTokenAlgorithm())
	}
	say(r.Bound && s.DeliveryMode == Push, "backchannel_token_delivery_mode", "contradicts the profile: pushed tokens are bound to nothing")
	if s.AllowsGrant(AuthorizationCode) {
		say(r.SignedRequests && s.JWKS == "" && s.JWKSURI == "", "jwks", "is needed, since requests must be signed; or jwks_uri")
		say(r.SignedResponses && len(s.ResponseModes) > 0 && !slices.ContainsFunc(s.ResponseModes, signedResponse), "response_modes",
			"holds no signed mode, and answers must be signed")
	}
	return found
}

func plainHTTP(uri string) bool { return strings.HasPrefix(uri, "http:") }

func signedResponse(mode string) bool { return strings.HasSuffix(mode, ".jwt") }

func words(methods []AuthMethod) string {
	list := make([]string, len(methods))
	for i, m := range methods {
		list[i] = string(m)
	}
	return strings.Join(list, ", ")
}

// algorithms are the settings that name one.
func (s *Settings) algorithms() map[string]string {
	return map[string]string{
		"access_token_signed_response_alg": s.AccessTokenAlg, "id_token_signed_response_alg": s.IDTokenAlg,
		"userinfo_signed_response_alg": s.UserInfoAlg, "introspection_signed_response_alg": s.IntrospectionAlg,
		"token_endpoint_auth_signing_alg": s.signingAlg(), "request_object_signing_alg": s.RequestObjectAlg,
		"backchannel_authentication_request_signing_alg": s.BackchannelRequestAlg,
		"authorization_signed_response_alg":              s.AuthorizationAlg,
	}
}

// checkProfile looks at the client's own profile.
func (s *Settings) checkProfile(p *problems) {
	if _, known := s.Profile.find(); !known && s.Profile != "" {
		p.add("profile", "is %q and must be default, mcp or fapi2", s.Profile)
		return
	}
	for field, why := range s.contradictions(s.own()) {
		p.add(field, "%s", why)
	}
}

// fitsRealm says how a client that is to be saved contradicts its realm.
func (c *Client) fitsRealm(tx *db.Tx) error {
	settings, err := realm.SettingsTx(tx)
	if err != nil || c.BuiltIn {
		return err
	}
	p := &problems{}
	if c.Profile != "" && !c.Profile.rules().covers(Profile(settings.Profile).rules()) {
		p.add("profile", "is %s, which asks for less than the realm's, %s", c.Profile, settings.Profile)
	}
	for field, why := range c.contradictions(c.own().and(RealmRules(&settings))) {
		p.add(field, "%s", why)
	}
	return p.error()
}

// fitPage is how many clients FitRealm reads at once, and maxMisfits how many it
// names.
const (
	fitPage    = 200
	maxMisfits = 5
)

// FitRealm refuses rules of a realm that clients of it contradict. It runs in
// the transaction that changes the realm.
func FitRealm(tx *db.Tx, before, after *realm.Realm) error {
	rules := RealmRules(&after.Settings)
	if RealmRules(&before.Settings).covers(rules) {
		return nil
	}
	var misfits []string
	for from := ""; len(misfits) < maxMisfits; {
		page, err := list(tx, from, fitPage)
		if err != nil {
			return err
		}
		for _, c := range page {
			if why := c.Contradiction(c.Rules(after)); why != "" && len(misfits) < maxMisfits {
				misfits = append(misfits, c.ID+": "+why)
			} else if c.Profile != "" && !c.BuiltIn && !c.Profile.rules().covers(Profile(after.Settings.Profile).rules()) && len(misfits) < maxMisfits {
				misfits = append(misfits, c.ID+": profile is "+string(c.Profile))
			}
		}
		if len(page) < fitPage {
			break
		}
		from = page[len(page)-1].ID
	}
	if len(misfits) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "profile_contradicted", "clients of the realm contradict its new profile; change or delete them first").
		WithField("settings.profile", strings.Join(misfits, "; "))
}
