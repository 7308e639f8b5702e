package oauth

import (
	"context"
	"strings"
)

// checkLocales bounds ui_locales; the pages choose among its languages.
// claims_locales is ignored: people are described in one language.
func checkLocales(_ context.Context, _ *Server, a *authorization) error {
	text := a.params.Get("ui_locales")
	if len(text) > 256 || len(strings.Fields(text)) > 16 {
		return badRequest("ui_locales is too long")
	}
	return nil
}
