package api

import "time"

// Agent is a program that decides elsewhere by the realm's policies and facts, such
// as an OPA, as it said of itself last.
type Agent struct {
	ID          string        `json:"id" doc:"How it names itself."`
	Client      string        `json:"client" doc:"The client that it is."`
	Kind        string        `json:"kind" enum:"opa,opal"`
	Version     string        `json:"version,omitempty"`
	Healthy     bool          `json:"healthy" doc:"Whether it uses everything that it got."`
	Bundles     []AgentBundle `json:"bundles"`
	FirstSeenAt time.Time     `json:"first_seen_at"`
	SeenAt      time.Time     `json:"seen_at"`
}

// AgentBundle is what an agent has of one bundle.
type AgentBundle struct {
	Name        string     `json:"name"`
	Revision    string     `json:"revision,omitempty" doc:"Of policies the version, of facts the revision."`
	ActivatedAt *time.Time `json:"activated_at,omitempty"`
	Problem     string     `json:"problem,omitempty" doc:"Why the newest is not in use."`
}

// AgentConfig is what agents of a realm are configured with.
type AgentConfig struct {
	Issuer    string `json:"issuer"`
	URL       string `json:"url" doc:"Of the service, for agents of OPA."`
	OPAL      string `json:"opal_url,omitempty" doc:"Of the server, for clients of OPAL."`
	Scope     string `json:"scope" doc:"What an agent's client must be allowed to ask for."`
	KeyID     string `json:"key_id" doc:"Of the key that signs bundles."`
	Algorithm string `json:"algorithm"`
	PublicKey string `json:"public_key" doc:"In PEM."`
}
