package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/agent"
)

func (s *Server) listAgents(ctx context.Context, c *Caller, in *Paging) (*page[wire.Agent], error) {
	found, next, err := s.Agents.Agents(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, agentOf), nil
}

func agentOf(r agent.Report) wire.Agent {
	a := wire.Agent{ID: r.ID, Client: r.Client, Kind: r.Kind, Version: r.Version, Healthy: r.Healthy(), Bundles: []wire.AgentBundle{}, FirstSeenAt: r.FirstSeen.UTC(), SeenAt: r.SeenAt.UTC()}
	for _, b := range r.Bundles {
		one := wire.AgentBundle{Name: b.Name, Revision: b.Revision, Problem: b.Problem}
		if !b.ActivatedAt.IsZero() {
			at := b.ActivatedAt.UTC()
			one.ActivatedAt = &at
		}
		a.Bundles = append(a.Bundles, one)
	}
	return a
}

// showAgentConfig tells what agents are configured with. There is no secret in it.
func (s *Server) showAgentConfig(_ context.Context, c *Caller, _ *nothing) (*plainAnswer[wire.AgentConfig], error) {
	told, err := s.AgentConfig(c.Realm)
	if err != nil {
		return nil, err
	}
	return plain(told), nil
}
