package oauth

import (
	"context"
	"strings"
)

// prompts are the values of prompt (OpenID Connect Core, section 3.1.2.1).
// Discovery reads them too.
var prompts = []string{"none", "login", "consent", "select_account"}

// checkPrompt reads what the person must be asked, whatever is known already.
func checkPrompt(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("prompt")
	if len(text) > 100 {
		return badRequest("prompt is too long")
	}
	for _, value := range strings.Fields(text) {
		switch value {
		case "none":
			a.prompt.none = true
		case "login":
			a.prompt.login = true
		case "consent":
			a.prompt.consent = true
		case "select_account":
			a.prompt.selectAccount = true
		default:
			return badRequest("prompt must be none, login, consent or select_account")
		}
	}
	if a.prompt.none && (a.prompt.login || a.prompt.consent || a.prompt.selectAccount) {
		return badRequest("prompt=none goes with no other value")
	}
	return nil
}
