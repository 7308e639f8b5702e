package oauth

import "context"

// checkIDTokenHint reads whom the client expects: the subject of an ID token it
// was given, which may have expired, or the one value it asks for in claims.
func checkIDTokenHint(ctx context.Context, s *Server, a *authorization) error {
	if want := a.claims.IDToken["sub"]; len(want.Values) == 1 {
		a.subject = want.Values[0]
	}
	hint := a.params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	read, err := s.tokens.Hint(ctx, a.realm.Name, hint)
	if err != nil {
		return err
	}
	if read.Client != a.client.ID {
		return badRequest("id_token_hint was issued to another client")
	}
	if a.subject != "" && a.subject != read.Subject {
		return badRequest("id_token_hint and claims name different people")
	}
	a.subject = read.Subject
	return nil
}
