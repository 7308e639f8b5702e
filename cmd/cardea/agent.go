package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

func (c *console) agentCommand() *cobra.Command {
	columns := []column[api.Agent]{
		{"CLIENT", func(a api.Agent) string { return a.Client }},
		{"ID", func(a api.Agent) string { return a.ID }},
		{"KIND", func(a api.Agent) string { return strings.TrimSpace(a.Kind + " " + a.Version) }},
		{"HEALTHY", func(a api.Agent) string { return yes(a.Healthy) }},
		{"BUNDLES", func(a api.Agent) string { return bundlesText(a.Bundles) }},
		{"SEEN", func(a api.Agent) string { return moment(a.SeenAt) }},
	}
	list := listing(c, "list", "List agents as they said of themselves last", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.Agent], error) {
			return cl.Agents.List(ctx, at)
		})
	cmd := c.resource("agent", "Programs that decide elsewhere by the realm's policies, such as OPA", list, c.agentConfig())
	cmd.Example = `  cardea client create --name "agents of the shop" --type service --grant-type client_credentials --scope cardea:agent
  cardea agent config --client cli_… > opa.yaml
  CARDEA_SECRET=… opa run --server --config-file opa.yaml
  cardea agent list`
	return cmd
}

func bundlesText(all []api.AgentBundle) string {
	var out []string
	for _, b := range all {
		text := b.Name + " " + firstOf(b.Revision, "-")
		if b.Problem != "" {
			first, _, _ := strings.Cut(b.Problem, "\n")
			text += " (" + first + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// agentConfig prints a file for OPA. The secret stays in the environment, from
// which OPA puts it in its place.
func (c *console) agentConfig() *cobra.Command {
	var id string
	cmd := c.action("config", "Print the configuration of an agent of OPA", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ []string) error {
		if id != "" {
			x, err := cl.Clients.Get(ctx, id)
			if err != nil {
				return err
			}
			id = x.ID
		}
		a, err := cl.Agents.Config(ctx)
		if err != nil {
			return err
		}
		return c.write(a, func(w io.Writer) { writeAgentConfig(w, a, id) })
	})
	cmd.Flags().StringVar(&id, "client", "", "the client that the agent is (default: from the environment, as CARDEA_CLIENT)")
	cmd.Long = `Print the configuration with which an agent of Open Policy Agent fetches what it decides by
from this server and reports to it. The secret of its client is not in it: OPA takes it
from the environment, as CARDEA_SECRET.`
	return cmd
}

func writeAgentConfig(w io.Writer, a api.AgentConfig, id string) {
	if id == "" {
		id = "${CARDEA_CLIENT}"
	}
	fmt.Fprintf(w, "services:\n  cardea:\n    url: %s\n    credentials:\n", a.URL)
	if strings.HasPrefix(a.Issuer, "https:") {
		fmt.Fprintf(w, `      oauth2:
        token_url: %s/oauth2/token
        client_id: "%s"
        client_secret: "${CARDEA_SECRET}"
        scopes: ["%s"]
`, a.Issuer, id, a.Scope)
	} else { // OPA asks for tokens over https only
		fmt.Fprint(w, "      bearer: # base64 of id:secret of the client\n        scheme: Basic\n        token: \"${CARDEA_BASIC}\"\n")
	}
	fmt.Fprintf(w, `discovery:
  service: cardea
  resource: discovery.tar.gz
  decision: discovery
  signing:
    keyid: %s
    scope: discovery
keys:
  %s:
    algorithm: %s
    key: |
`, a.KeyID, a.KeyID, a.Algorithm)
	for line := range strings.Lines(a.PublicKey) {
		fmt.Fprint(w, "      "+line)
	}
}
