package oauth

import (
	"errors"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
)

// exchangeGrant trades a token for another (RFC 8693): with an actor token for
// one that says who acts for the subject, without one for the subject's own. Each
// is a right of its own. The result descends from the grant of what was shown and
// is never wider, and no actor is ever lost. It costs no write after the first
// time for the same grant, client and actor.
type exchangeGrant struct{}

func (exchangeGrant) prove(s *Server, a *asking) (proved, error) {
	if a.caller.Public() {
		return proved{}, refuse("unauthorized_client", "a public client cannot exchange tokens")
	}
	if a.wantsAssertion() {
		return s.proveAssertion(a)
	}
	if want := a.params.Get("requested_token_type"); want != "" && want != typeAccessToken {
		return proved{}, badRequest("requested_token_type is not one that is issued here")
	}
	subject, actor, err := s.readBoth(a)
	if err != nil {
		return proved{}, err
	}
	if err := a.mayExchange(subject, actor); err != nil {
		return proved{}, err
	}
	scopes, err := a.exchangedScopes(subject)
	if err != nil {
		return proved{}, err
	}
	audience, err := a.exchangedAudience(subject, scopes)
	if err != nil {
		return proved{}, err
	}
	g, err := s.exchangeFor(a, subject, actor)
	if err != nil {
		return proved{}, err
	}
	return proved{grant: g, scopes: scopes, audience: audience, until: subject.expires, issued: typeAccessToken}, nil
}

// readBoth reads the subject's token and, if there is one, the actor's.
func (s *Server) readBoth(a *asking) (subject, actor *shown, err error) {
	if subject, err = s.readParameter(a, "subject_token"); err != nil {
		return nil, nil, err
	}
	if subject == nil {
		return nil, nil, badRequest("subject_token is missing")
	}
	actor, err = s.readParameter(a, "actor_token")
	return subject, actor, err
}

// readParameter reads a token and its type, which come together or not at all.
// A token that is no good is invalid_request, as section 2.2.2 wants.
func (s *Server) readParameter(a *asking, name string) (*shown, error) {
	text, tokenType := a.params.Get(name), a.params.Get(name+"_type")
	switch {
	case text == "" && tokenType == "":
		return nil, nil
	case text == "":
		return nil, badRequest(name + " is missing")
	case tokenType == "":
		return nil, badRequest(name + "_type is missing")
	}
	x, err := s.readShown(a, text, tokenType)
	var bad *unacceptable
	if errors.As(err, &bad) {
		return nil, badRequest("the " + strings.ReplaceAll(name, "_", " ") + " " + bad.words)
	}
	return x, err
}

// mayExchange asks whether the client has the right, and whether those whom the
// tokens name may stand in this relation.
func (a *asking) mayExchange(subject, actor *shown) error {
	if actor == nil {
		if !a.caller.ExchangeImpersonation {
			return refuse("unauthorized_client", "without an actor_token the client would be taken for the subject, which it may not")
		}
		if subject.limited && !a.mayActItself(subject) {
			return badRequest("the subject token's may_act names somebody else")
		}
		return a.deepEnough(subject)
	}
	switch {
	case !a.caller.ExchangeDelegation:
		return refuse("unauthorized_client", "the client may not act for others")
	case actor.actors > 0:
		return badRequest("the actor token has an actor itself")
	case actor.parent != nil && actor.parent.Client != a.caller.ID:
		return badRequest("the actor token was not issued to the client")
	case actor.principal == subject.principal:
		return badRequest("the actor is the subject")
	case subject.actors == token.MaxActors:
		return badRequest("as many act for one another as may")
	case subject.limited && !a.named(subject, actor):
		return badRequest("the subject token's may_act names somebody else")
	}
	return a.deepEnough(subject)
}

// deepEnough keeps tokens from being exchanged for ever.
func (a *asking) deepEnough(subject *shown) error {
	if subject.parent != nil && subject.within.Depth() >= token.MaxAncestry-2 {
		return badRequest("the subject token was exchanged too often")
	}
	return nil
}

// mayActItself reports whether may_act names the client (RFC 8693, section 4.4),
// which its issuer knows as we do: by its id or its service.
func (a *asking) mayActItself(subject *shown) bool {
	iss, sub, id, ok := partyOf(subject.mayAct)
	return ok && iss == a.realm.Issuer && (sub != "" || id != "") && (id == "" || id == a.caller.ID) && (sub == "" || sub == a.caller.ID || sub == a.caller.Principal)
}

// named reports whether the subject token's may_act names the actor: one of its
// own issuer's where it names no issuer.
func (a *asking) named(subject, actor *shown) bool {
	iss, sub, id, ok := partyOf(subject.mayAct)
	if iss == "" {
		iss = subject.issuer.Settings.Issuer
	}
	switch {
	case !ok || sub == "":
		return false
	case actor.parent != nil:
		return iss == a.realm.Issuer && sub == actor.principal && (id == "" || id == a.caller.ID)
	}
	return id == "" && iss == actor.issuer.Settings.Issuer && sub == actor.link.Subject
}

// partyOf reads who may_act names.
func partyOf(o jose.Object) (iss, sub, clientID string, ok bool) {
	iss, err1 := o.String("iss")
	sub, err2 := o.String("sub")
	clientID, err3 := o.String("client_id")
	return iss, sub, clientID, errors.Join(err1, err2, err3) == nil
}

// neverExchanged are the scopes that nobody gets by showing a token: what they
// open is not passed on.
var neverExchanged = []string{client.ScopeAdmin, scopeOffline}

// exchangedScopes are those asked for, all of which the token must have, or
// those of the token that the client may have.
func (a *asking) exchangedScopes(x *shown) ([]string, error) {
	has := func(scope string) bool { return x.has(scope) && !slices.Contains(neverExchanged, scope) }
	text := a.params.Get("scope")
	if text == "" {
		scopes := slices.DeleteFunc(slices.Clone(a.caller.Scopes), func(scope string) bool { return !has(scope) })
		if len(scopes) == 0 {
			return nil, refuse("invalid_scope", "nothing that was shown has a scope that the client may have")
		}
		return grant.Scopes(scopes), nil
	}
	scopes, err := readScope(a.caller.Client, text)
	if err != nil {
		return nil, err
	}
	for _, scope := range scopes {
		if !has(scope) {
			return nil, refuse("invalid_scope", "what was shown does not have "+scope)
		}
	}
	return scopes, nil
}

// exchangedAudience is whom the new token is for: the resources and audiences
// asked for, or all of the client's that the token's grant reaches.
func (a *asking) exchangedAudience(x *shown, scopes []string) ([]string, error) {
	targets, err := a.targets()
	if err != nil {
		return nil, err
	}
	for _, target := range targets {
		if !x.reaches(target) {
			return nil, refuse("invalid_target", "what was shown is not for "+target)
		}
	}
	list := a.caller.Audience(a.realm.Issuer, scopes, targets)
	if list = slices.DeleteFunc(list, func(audience string) bool { return !x.reaches(audience) }); len(list) == 0 {
		return nil, refuse("invalid_target", "what was shown is for none of the client's resources")
	}
	return list, nil
}

// targets are the resources and audiences of a request: an audience is the name
// of a resource here (RFC 8693, section 2.1).
func (a *asking) targets() ([]string, error) {
	list := slices.Concat(a.resources, a.params.All("audience"))
	if len(list) > maxResources {
		return nil, refuse("invalid_target", "more than 10 resources")
	}
	for _, audience := range list {
		if !a.caller.AllowsAudience(a.realm.Issuer, audience) {
			return nil, refuse("invalid_target", "the client may not ask for that audience")
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// exchangeFor finds the grant below what was shown.
func (s *Server) exchangeFor(a *asking, subject, acting *shown) (*grant.Grant, error) {
	x := grant.Shown{Parent: subject.parent, Principal: subject.principal}
	if subject.link != nil {
		x.Credential = subject.link.ID
	}
	if acting != nil {
		x.Actor = acting.principal
	}
	g, err := s.grants.ExchangeFor(a.request.Context(), a.actor(), a.caller.Client, x)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return nil, badRequest("what the token stands for has ended")
	}
	return g, err
}
