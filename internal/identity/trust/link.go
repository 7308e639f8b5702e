package trust

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Who returns who a subject of an issuer is here, from memory, or
// fault.NotFound. Whether that principal and the link are alive is for the gate
// to say.
func (r *Registry) Who(ctx context.Context, i *Issuer, subject string) (*Link, error) {
	if !validSubject(subject) {
		return nil, nobody()
	}
	return r.links.Get(i.Realm, i.ID+" "+subject, func() (l *Link, err error) {
		err = r.db.View(ctx, i.Realm, func(tx *db.Tx) error {
			l, err = bySubject(tx, i.ID, subject)
			return err
		})
		if db.Missing(err) {
			err = nobody()
		}
		return l, err
	})
}

// Links returns up to limit links of an issuer, behind the id in cursor.
func (r *Registry) Links(ctx context.Context, realm, issuer, cursor string, limit int) (page []*Link, next string, err error) {
	return db.Page(ctx, r.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Link, error) { return listLinks(tx, issuer, cursor, limit) },
		func(l *Link) string { return l.ID })
}

// Link says who a subject is here. A subject that is linked with the same
// principal stays so; one that is linked with another is fault.Conflict. Of a
// link whose credential was revoked a new one is made.
func (r *Registry) Link(ctx context.Context, by audit.Actor, realm, issuer, subject, whom string) (l *Link, err error) {
	if !validSubject(subject) {
		return nil, fault.New(fault.Invalid, "subject_invalid", "a subject has 1 to %d bytes of printable characters", maxSubject).WithField("subject", "is not a subject")
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		i, err := living(tx, issuer, 0)
		if err != nil {
			return err
		}
		if l, err = bySubject(tx, issuer, subject); err != nil && !db.Missing(err) {
			return err
		}
		if err == nil {
			_, gone := credential.AliveTx(tx, l.ID)
			if gone == nil && l.Principal == whom {
				return nil
			}
			if gone == nil {
				return fault.New(fault.Conflict, "subject_linked", "the subject is somebody else here; unlink it first").WithField("subject", "is linked with another principal")
			}
			if err := forget(tx, by, l); err != nil {
				return err
			}
		}
		who, err := principal.LiveTx(tx, whom)
		if err != nil {
			return err
		}
		if who.Principal.Kind == principal.Group || who.Principal.Kind == principal.Organization {
			return fault.New(fault.Invalid, "principal_acts_not", "a subject is a user or a service, not a %s", who.Principal.Kind).WithField("principal", "is not somebody who acts")
		}
		made, err := credential.AddFederatedTx(tx, by, whom, clip(i.Settings.Issuer, 120))
		if err != nil {
			return err
		}
		l = &Link{ID: made.ID, Issuer: issuer, Subject: subject, Principal: whom, Created: tx.Now}
		if err := insertLink(tx, l); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "trusted_issuer.link", TargetType: "trusted_issuer", Target: issuer, Invalidates: true,
			Data: map[string]any{"principal": whom, "credential": l.ID}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// LinkByID reads a link of an issuer. One that was taken away is told with no
// more than its id and principal; one that never was is fault.NotFound.
func (r *Registry) LinkByID(ctx context.Context, realm, issuer, id string) (l *Link, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		l, err = linkByID(tx, issuer, id)
		return err
	})
	if !db.Missing(err) {
		return l, err
	}
	c, err := r.credentials.ByID(ctx, realm, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err != nil || c.Type != credential.Federated || c.RevokedAt.IsZero() {
		return nil, fault.New(fault.NotFound, "link_not_found", "there is no link %q", clip(id, 80))
	}
	return &Link{ID: c.ID, Issuer: issuer, Principal: c.Principal}, nil
}

// Unlink makes a subject nobody, and ends what was obtained through the link.
// Taking away what is gone waits like the first time. The credential ends first:
// until the row goes too, the subject is linked with what is dead.
func (r *Registry) Unlink(ctx context.Context, by audit.Actor, realm string, l *Link, end End) error {
	if err := end(ctx, l.ID); err != nil {
		return err
	}
	return r.db.Update(ctx, realm, func(tx *db.Tx) error { return forget(tx, by, l) })
}

// Erase forgets every subject that a deleted principal was, which is data about
// the person. Its credentials are dead.
func (r *Registry) Erase(ctx context.Context, by audit.Actor, realm, whom string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		all, err := linksOf(tx, whom)
		if err != nil {
			return err
		}
		for _, l := range all {
			if err := forget(tx, by, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func forget(tx *db.Tx, by audit.Actor, l *Link) error {
	was, err := deleteLink(tx, l.ID)
	if err != nil || !was {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "trusted_issuer.unlink", TargetType: "trusted_issuer", Target: l.Issuer, Invalidates: true,
		Data: map[string]any{"principal": l.Principal, "credential": l.ID}})
	return nil
}

func nobody() error {
	return fault.New(fault.NotFound, "subject_unknown", "the subject is nobody here")
}
