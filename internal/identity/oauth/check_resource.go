package oauth

import (
	"context"
	"slices"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// maxResources bounds how many resources one request may name.
const maxResources = 10

// checkResource reads for which resources tokens are asked (RFC 8707).
func checkResource(_ context.Context, _ *Server, a *authorization) (err error) {
	if a.resources, err = readResources(a.realm, a.client, a.params); err != nil {
		return err
	}
	if len(a.resources) == 0 && a.rules().Resource {
		return errNoResource()
	}
	return nil
}

func errNoResource() error {
	return refuse("invalid_target", "name the resource that the tokens are for (RFC 8707)")
}

// readResources is readResources for a token request. What an identity assertion
// is for lies elsewhere, and only its form can be asked about here.
func (a *asking) readResources() ([]string, error) {
	if !a.wantsAssertion() {
		return readResources(a.realm, a.caller.Client, a.params)
	}
	list := a.params.All("resource")
	if len(list) > maxResources || slices.ContainsFunc(list, func(resource string) bool { return !client.ValidResource(resource) }) {
		return nil, refuse("invalid_target", "at most 10 resources, each an absolute URI without fragment")
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// readResources holds each resource to what the client may ask for. Our own
// admin API and revocation stream are resources of those who have their scope.
func readResources(rl *realm.Realm, c *client.Client, p web.Params) ([]string, error) {
	list := p.All("resource")
	if len(list) > maxResources {
		return nil, refuse("invalid_target", "more than 10 resources")
	}
	for _, resource := range list {
		if !client.ValidResource(resource) {
			return nil, refuse("invalid_target", "a resource is an absolute URI without fragment")
		}
		if !c.AllowsAudience(rl.Issuer, resource) {
			return nil, refuse("invalid_target", "the client may not ask for "+resource)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
