package principal

import (
	"context"
	"regexp"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Member is somebody in a group or organization.
type Member struct {
	Container, Member string
	Relation          string // "member" or another word that people gave; it permits nothing
	Kind              Kind   // of the other side: of the member in Members, of the container in Containers
	Since             time.Time
}

var relationPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// ValidRelation reports whether a word may say what somebody is in a container;
// "" stands for member.
func ValidRelation(word string) bool { return word == "" || relationPattern.MatchString(word) }

// AddMember puts a principal into a group or organization; if it is there
// already, its relation changes. Groups nest up to 32 deep and never in a
// circle; an organization is in nothing.
func (d *Directory) AddMember(ctx context.Context, by audit.Actor, realm, container, member, relation string) error {
	// Serializable, and not less: that no circle closes rests on what was read.
	return d.db.Update(ctx, realm, func(tx *db.Tx) error { return AddMemberTx(tx, by, container, member, relation) })
}

// AddMemberTx is AddMember within a transaction, which must be serializable.
func AddMemberTx(tx *db.Tx, by audit.Actor, container, member, relation string) error {
	if relation == "" {
		relation = "member"
	}
	if !relationPattern.MatchString(relation) {
		return invalid("relation", "is a short word in lower case")
	}
	in, err := undeleted(tx, container, 0)
	if err != nil {
		return err
	}
	p, err := undeleted(tx, member, 0)
	if err != nil {
		return err
	}
	if !in.Kind.Contains() {
		return invalid("container", "is a group or an organization")
	}
	if p.Kind == Organization {
		return invalid("member", "may be anything but an organization")
	}
	if p.Kind == Group {
		if err := checkNesting(tx, container, member); err != nil {
			return err
		}
	}
	changed, err := insertMember(tx, Member{Container: container, Member: member, Relation: relation})
	if err != nil || !changed {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.member.add", TargetType: string(in.Kind), Target: container,
		Data: map[string]any{"member": member, "relation": relation}, Invalidates: true})
	return nil
}

// checkNesting refuses to put group into container if that closes a circle or
// makes the nesting too deep.
func checkNesting(tx *db.Tx, container, group string) error {
	above, loops, err := containersAbove(tx, container, group)
	if err != nil {
		return err
	}
	if loops || container == group {
		return fault.New(fault.Conflict, "group_cycle", "group %q contains %q already", group, container)
	}
	below, err := groupsBelow(tx, group)
	if err != nil {
		return err
	}
	if above+1+below > maxNesting {
		return fault.New(fault.Conflict, "group_depth", "groups nest at most %d deep", maxNesting)
	}
	return nil
}

// RemoveMember takes a principal out of a group or organization. One that is
// not in it, any more or ever, is no error, and the commit waits like the first
// time; one that never was at all is fault.NotFound.
func (d *Directory) RemoveMember(ctx context.Context, by audit.Actor, realm, container, member string) error {
	return d.db.Update(ctx, realm, func(tx *db.Tx) error {
		n, err := deleteMember(tx, container, member)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.Barrier(tx)
			_, err := byID(tx, member)
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "principal.member.remove", TargetType: "container", Target: container,
			Data: map[string]any{"member": member}, Invalidates: true})
		return nil
	})
}

// Members lists up to limit direct members of a container by id, beginning
// behind the id after, and the id to go on behind, or "" at the end.
func (d *Directory) Members(ctx context.Context, realm, container, after string, limit int) ([]Member, string, error) {
	return d.pageOfMembers(ctx, realm, after, limit, func(tx *db.Tx, limit int) ([]Member, error) {
		return membersOf(tx, container, after, limit)
	}, func(m Member) string { return m.Member })
}

// Containers lists the groups and organizations that a principal is directly
// in, paged like Members.
func (d *Directory) Containers(ctx context.Context, realm, member, after string, limit int) ([]Member, string, error) {
	return d.pageOfMembers(ctx, realm, after, limit, func(tx *db.Tx, limit int) ([]Member, error) {
		return containersOf(tx, member, after, limit)
	}, func(m Member) string { return m.Container })
}

func (d *Directory) pageOfMembers(ctx context.Context, realm, after string, limit int, read func(*db.Tx, int) ([]Member, error), key func(Member) string) (page []Member, next string, err error) {
	if after != "" && !ValidID(after) {
		return nil, "", invalid("page", "is not one that was given out")
	}
	return db.Page(ctx, d.db, realm, limit, 500, read, key)
}

// OrganizationNames lists what the organizations of a principal are called, by
// name and display name, at most 40 words.
func OrganizationNames(tx *db.Tx, id string) ([]string, error) { return organizationNames(tx, id) }
