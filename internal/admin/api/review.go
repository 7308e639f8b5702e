package api

import (
	"context"
	"strconv"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/policy"
)

type reviewInput struct {
	Paging
	SubjectType  string `query:"subject_type" maxLength:"1024"`
	ResourceType string `query:"resource_type" maxLength:"1024"`
	Action       string `query:"action" maxLength:"1024"`
}

// What one page of a review costs at most: searches, and how many candidates each
// judges before it counts as another.
const (
	mostSearches = 64
	mostJudged   = 20_000
)

// review is a walk over subjects, and for each over the kinds of questions about
// it. Its place is the subject, the number of the kind and the place in the search.
type review struct {
	snapshot *policy.Snapshot
	kinds    []policy.Kind // of one type of subject after the other
	types    []string
}

// reviewAccess lists who can do what, subject by subject: exactly what single
// questions without circumstances permit now.
func (s *Server) reviewAccess(ctx context.Context, c *Caller, in *reviewInput) (*plainAnswer[wire.AccessReview], error) {
	snapshot, at, err := s.state(ctx, c)
	if err != nil {
		return nil, err
	}
	r := review{snapshot: snapshot}
	for _, k := range snapshot.Set().Kinds() {
		if (in.SubjectType == "" || k.Subject == in.SubjectType) && (in.ResourceType == "" || k.Resource == in.ResourceType) && (in.Action == "" || k.Action == in.Action) {
			r.kinds = append(r.kinds, k)
			if len(r.types) == 0 || r.types[len(r.types)-1] != k.Subject {
				r.types = append(r.types, k.Subject)
			}
		}
	}
	out := wire.AccessReview{Items: []wire.Access{}, Revision: at.String()}
	from := []string{"", "", "0", ""}
	if in.After != "" {
		if from, err = readPlace(in.After, 4); err != nil {
			return nil, err
		}
	} else {
		for _, typ := range r.types {
			for range snapshot.Graph().Known(typ, "") {
				out.Total++
			}
		}
	}
	err = s.walk(ctx, c, r, from, in.Limit, &out)
	if err != nil {
		return nil, err
	}
	return plain(out), nil
}

func (s *Server) walk(ctx context.Context, c *Caller, r review, from []string, limit int, out *wire.AccessReview) error {
	searches := 0
	for _, typ := range r.types {
		if typ < from[0] {
			continue
		}
		behind := ""
		if typ == from[0] {
			behind = from[1]
			if from[3] != "" || from[2] != "0" { // the subject itself, once more
				if more, err := s.about(ctx, c, r, policy.Entity{Type: typ, ID: from[1]}, from[2], from[3], limit, &searches, out); err != nil || more {
					return err
				}
				if len(out.Items) >= limit || searches >= mostSearches {
					out.Next = writePlace(typ, from[1], "0", "")
					return nil
				}
			}
		}
		for e := range r.snapshot.Graph().Known(typ, behind) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			out.Subjects++
			more, err := s.about(ctx, c, r, e, "0", "", limit, &searches, out)
			if err != nil || more {
				return err
			}
			if len(out.Items) >= limit || searches >= mostSearches {
				out.Next = writePlace(e.Type, e.ID, "0", "")
				return nil
			}
		}
	}
	return nil
}

// about lists what one subject can do, from a kind and a place in its search on. It
// returns true where the page is full before that is all.
func (s *Server) about(ctx context.Context, c *Caller, r review, e policy.Entity, kind, place string, limit int, searches *int, out *wire.AccessReview) (more bool, err error) {
	first, err := strconv.Atoi(kind)
	if err != nil || first < 0 {
		return false, nil
	}
	name := s.nameOf(ctx, c, e)
	for i, k := range r.kinds {
		if k.Subject != e.Type || i < first {
			continue
		}
		if i > first {
			place = ""
		}
		for {
			room := limit - len(out.Items)
			if room <= 0 || *searches >= mostSearches {
				out.Next = writePlace(e.Type, e.ID, strconv.Itoa(i), place)
				return true, nil
			}
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			*searches++
			q := policy.Question{Subject: e, Action: k.Action, Resource: policy.Entity{Type: k.Resource}, At: s.Now()}
			found, err := policy.Resources(r.snapshot, &q, policy.Page{After: place, Size: room, Work: mostJudged})
			if err != nil {
				return false, err
			}
			for _, on := range found.Entities {
				q.Resource = on
				a := policy.Decide(r.snapshot, &q)
				out.Items = append(out.Items, wire.Access{Subject: wire.DecisionEntity(e), Name: name, Action: k.Action, Resource: wire.DecisionEntity(on), Policies: a.Determining, Path: relationsOf(a.Path)})
			}
			if place = found.Next; place == "" {
				break
			}
		}
	}
	return false, nil
}
