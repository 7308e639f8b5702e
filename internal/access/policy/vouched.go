package policy

import "maps"

// Verified are the members of a context that an access token fills. What a caller
// says under these names does not count beside a token.
var Verified = [...]string{"acr", "amr", "auth_time", "scopes", "client", "act", "session"}

// Vouch makes the question one about the subject of an access token, which may be
// known to the caller under an alias, with what the token proves in its context.
// It says why the question cannot be asked, or "". A context is never changed in
// place: batches share it, and what was noted may be read already.
func (q *Question) Vouch(subject Entity, alias string, proved Properties) (refused string) {
	if q.Subject.Type != subject.Type || q.Subject.ID != subject.ID && (alias == "" || q.Subject.ID != alias) {
		return "the access token is another subject's"
	}
	q.Subject = subject
	if q.Context = maps.Clone(q.Context); q.Context == nil {
		q.Context = Properties{}
	}
	for _, name := range Verified {
		delete(q.Context, name)
		if v, known := proved[name]; known {
			q.Context[name] = v
		}
	}
	return ""
}
