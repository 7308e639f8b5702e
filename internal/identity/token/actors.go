package token

import (
	"context"

	"github.com/cardea-id/cardea/internal/jose"
)

// actorsFor are those who act, as the client of the grant knows them: a pairwise
// client learns of nobody more than of the subject.
func (g *Gate) actorsFor(ctx context.Context, p *passed) ([]string, error) {
	if len(p.actors) == 0 {
		return nil, nil
	}
	seen := make([]string, len(p.actors))
	for i, id := range p.actors {
		var err error
		if seen[i], err = g.Subject(ctx, p.grant.Realm, p.client, id); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// AppendActors appends the value of act (RFC 8693, section 4.1): the present
// actor, with the one before it inside.
func AppendActors(b []byte, actors []string) []byte {
	for i, actor := range actors {
		if i > 0 {
			b = append(b, `,"act":`...)
		}
		b = appendText(append(b, `{"sub":`...), actor)
	}
	for range actors {
		b = append(b, '}')
	}
	return b
}

// readActors reads act. Whatever it says must be understood: an actor is never
// lost.
func readActors(o jose.Object) (actors []string, err error) {
	for o.Has("act") {
		if len(actors) == MaxActors {
			return nil, errInvalid
		}
		if o, err = o.Object("act"); err != nil {
			return nil, err
		}
		sub, err := o.String("sub")
		if err != nil || sub == "" {
			return nil, errInvalid
		}
		actors = append(actors, sub)
	}
	return actors, nil
}
