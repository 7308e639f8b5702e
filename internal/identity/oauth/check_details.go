package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// checkDetails reads what is asked for in detail (RFC 9396).
func checkDetails(ctx context.Context, s *Server, a *authorization) (err error) {
	a.details, err = s.readDetails(ctx, a.realm, a.client, a.params)
	return err
}

// readDetails holds authorization details to the types of the realm and to
// those that the client may ask for (RFC 9396, section 5).
func (s *Server) readDetails(ctx context.Context, rl *realm.Realm, c *client.Client, p web.Params) (detail.List, error) {
	text := p.Get("authorization_details")
	if text == "" {
		if p.Has("authorization_details") {
			return nil, badDetails("authorization_details is empty")
		}
		return nil, nil
	}
	list, err := detail.Parse(text)
	if err != nil {
		return nil, detailProblem(err)
	}
	for _, d := range list {
		if !c.AllowsDetail(d.Type) {
			return nil, badDetails("the client may not ask for authorization_details of every type that it names")
		}
	}
	return list, detailProblem(s.details.Check(ctx, rl.Name, list))
}

func badDetails(description string) *Error {
	return refuse("invalid_authorization_details", description)
}

// detailProblem gives what is wrong with details the protocol's words.
func detailProblem(err error) error {
	if fault.Is(err, fault.Invalid) {
		return badDetails(err.Error())
	}
	return err
}

// granted are the details that a token request gets of its grant: those it asks
// for, or all that its client may still have. at says which they are; nil: all.
// To ask for others is refused (RFC 9396, section 6).
func (a *asking) granted(g *grant.Grant) (list detail.List, at []int, err error) {
	if g.Details == "" {
		if a.details != nil {
			return nil, nil, badDetails("nothing was granted in detail")
		}
		return nil, nil, nil
	}
	all, err := detail.Parse(g.Details)
	if err != nil {
		return nil, nil, err
	}
	asked := a.details
	if asked == nil {
		asked = all
	}
	places, ok := asked.Among(all)
	if !ok {
		return nil, nil, badDetails("not all of authorization_details was granted like this")
	}
	for _, i := range places {
		if a.caller.AllowsDetail(all[i].Type) {
			at = append(at, i)
		}
	}
	if len(at) == len(all) {
		return all, nil, nil
	}
	return all.Pick(at), at, nil
}
