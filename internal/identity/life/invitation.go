package life

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// How long an invitation may be good, and how long one that has ended is shown.
const (
	InvitationLife    = 7 * 24 * time.Hour
	leastInvitation   = time.Hour
	mostInvitation    = 30 * 24 * time.Hour
	expiredShown      = 30 * 24 * time.Hour
	invitationKept    = 90 * 24 * time.Hour
	maxContainers     = 20
	maxOpenInvitation = 10_000
)

// InvitationState says where an invitation stands.
type InvitationState string

// The states of an invitation. Only an open one can be accepted.
const (
	InvitationOpen      InvitationState = "open"
	InvitationAccepted  InvitationState = "accepted"
	InvitationWithdrawn InvitationState = "withdrawn"
	InvitationExpired   InvitationState = "expired"
)

// Invitation is somebody without an account who is asked to make one.
type Invitation struct {
	ID         string
	Address    string // "" when it has ended
	Name       string
	Locale     string
	Containers []Containment // what they will be in
	By         string        // id of the operator
	State      InvitationState
	Person     string // who accepted it
	Created    time.Time
	Expires    time.Time
	Ended      time.Time

	serial int64
}

// Containment is a group or organization, and what somebody is in it.
type Containment struct {
	Container string `json:"container"`
	Relation  string `json:"relation,omitempty"`
}

// NewInvitation describes an invitation to be made.
type NewInvitation struct {
	Address    string
	Name       string
	Locale     string
	Containers []Containment
	Life       time.Duration // 0: InvitationLife
	// Link says that an operator hands the link over. What they hand over proves no
	// address, so the address of whoever accepts is not verified by it.
	Link bool
}

// invited is what a link stands for.
type invited struct {
	ID     string `json:"id"`
	Serial int64  `json:"serial"`
	Mailed bool   `json:"mailed,omitempty"`
}

func invitationKind(life time.Duration) action.Kind {
	return action.Kind{Purpose: "invitation", Life: life}
}

// Invite asks somebody to make an account. The link is returned if it is for the
// operator to hand over, and else sent, and seen by nobody but its addressee.
func (d *Desk) Invite(ctx context.Context, by audit.Actor, realm string, n NewInvitation) (i *Invitation, link secret.Text, err error) {
	err = d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		i, link, err = d.InviteTx(tx, by, n)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return i, link, nil
}

// InviteTx is Invite within a transaction, which must be serializable.
func (d *Desk) InviteTx(tx *db.Tx, by audit.Actor, n NewInvitation) (*Invitation, secret.Text, error) {
	if n.Life == 0 {
		n.Life = InvitationLife
	}
	if err := d.checkInvitation(n); err != nil {
		return nil, "", err
	}
	if err := d.admitsTx(tx, !n.Link); err != nil {
		return nil, "", err
	}
	if _, err := principal.ByIdentifierTx(tx, n.Address); err == nil {
		return nil, "", fault.New(fault.Conflict, "email_taken", "somebody has that e-mail address").WithField("email", "is taken")
	} else if !fault.Is(err, fault.NotFound) {
		return nil, "", err
	}
	if err := checkContainers(tx, n.Containers); err != nil {
		return nil, "", err
	}
	i, err := d.insert(tx, by, n)
	if err != nil {
		return nil, "", err
	}
	audit.Append(tx, by, audit.Event{Action: "invitation.create", TargetType: "invitation", Target: i.ID, Data: map[string]any{"containers": len(i.Containers)}})
	link, err := d.deliver(tx, i, n.Life, n.Link)
	return i, link, err
}

func (d *Desk) checkInvitation(n NewInvitation) error {
	if err := principal.CheckEmail(n.Address); err != nil {
		return err
	}
	if err := principal.CheckPerson(n.Name, n.Locale); err != nil {
		return err
	}
	if n.Life < leastInvitation || n.Life > mostInvitation {
		return invalid("expires_in", "is from one hour to 30 days")
	}
	if len(n.Containers) > maxContainers {
		return invalid("groups", "are at most 20, organizations included")
	}
	if !n.Link && !d.Mail() {
		return noMail()
	}
	return nil
}

// admitsTx is fault.Conflict where whoever accepts an invitation could not sign in.
// mailed says that its link proves their address.
func (d *Desk) admitsTx(tx *db.Tx, mailed bool) error {
	s, err := realm.SettingsTx(tx)
	if err != nil || d.admits(&s, mailed) {
		return err
	}
	why := "let a password or a code by mail count (settings factors and email_sign_in)"
	switch {
	case !d.Mail():
		why = "let a password count (setting factors), or set up mail for codes"
	case !mailed && d.admits(&s, true):
		why = "a code is mailed to verified addresses only: have the invitation mailed, or let a password count (setting factors)"
	}
	return fault.New(fault.Conflict, "newcomers_excluded", "whoever accepts could not sign in to this realm: %s", why)
}

// insert writes an invitation down. One for the same address whose time is over
// makes room.
func (d *Desk) insert(tx *db.Tx, by audit.Actor, n NewInvitation) (*Invitation, error) {
	key := secret.Hash(principal.Canonical(n.Address))
	old, err := openInvitation(tx, key)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if tx.Now.Before(old.Expires) {
			return nil, fault.New(fault.Conflict, "invitation_open", "the address is invited already; send invitation %q again, or withdraw it", old.ID)
		}
		if err := endInvitation(tx, old.ID, InvitationExpired, ""); err != nil {
			return nil, err
		}
	}
	if open, err := countOpenInvitations(tx); err != nil || open >= maxOpenInvitation {
		return nil, cmp.Or(err, error(fault.New(fault.Conflict, "invitations_exhausted", "%d invitations are open; withdraw some", maxOpenInvitation)))
	}
	i := &Invitation{ID: id.New("inv", tx.Now), Address: n.Address, Name: n.Name, Locale: n.Locale, Containers: n.Containers, By: by.ID,
		State: InvitationOpen, Created: tx.Now, Expires: tx.Now.Add(n.Life), serial: 1}
	fresh, err := insertInvitation(tx, i, key)
	if err == nil && !fresh {
		err = fault.New(fault.Conflict, "invitation_open", "the address is invited already")
	}
	return i, err
}

// checkContainers refuses what nobody can be in.
func checkContainers(tx *db.Tx, all []Containment) error {
	for _, c := range all {
		in, err := principal.ByIDTx(tx, c.Container)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || !in.Kind.Contains() || in.State == principal.Deleted {
			return invalid("groups", "must be groups or organizations that there are")
		}
		if !principal.ValidRelation(c.Relation) {
			return invalid("relation", "is a short word in lower case")
		}
	}
	return nil
}

// deliver makes the link of an invitation and sends it, or gives it back.
func (d *Desk) deliver(tx *db.Tx, i *Invitation, life time.Duration, hand bool) (secret.Text, error) {
	link, _, err := d.Links.MakeTx(tx, invitationKind(life), "", invited{i.ID, i.serial, !hand})
	if err != nil || hand {
		return link, err
	}
	return "", d.Send(tx, letter.Letter{Kind: "invitation", To: i.Address, Locale: i.Locale, Link: "/invitation?link=" + string(link), Life: life})
}

// Resend makes another link of an invitation, with a life of its own, and ends
// the ones before.
func (d *Desk) Resend(ctx context.Context, by audit.Actor, realm, id string, life time.Duration, hand bool) (i *Invitation, link secret.Text, err error) {
	err = d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		i, link, err = d.ResendTx(tx, by, id, life, hand)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return i, link, nil
}

// ResendTx is Resend within a transaction, which must be serializable.
func (d *Desk) ResendTx(tx *db.Tx, by audit.Actor, id string, life time.Duration, hand bool) (*Invitation, secret.Text, error) {
	if life == 0 {
		life = InvitationLife
	}
	if life < leastInvitation || life > mostInvitation {
		return nil, "", invalid("expires_in", "is from one hour to 30 days")
	}
	if !hand && !d.Mail() {
		return nil, "", noMail()
	}
	i, err := invitationByID(tx, id)
	if err != nil {
		return nil, "", err
	}
	if i.State != InvitationOpen {
		return nil, "", ended(i)
	}
	if err := d.admitsTx(tx, !hand); err != nil {
		return nil, "", err
	}
	i.serial, i.Expires = i.serial+1, tx.Now.Add(life)
	if err := renewInvitation(tx, id, i.Expires); err != nil {
		return nil, "", err
	}
	audit.Append(tx, by, audit.Event{Action: "invitation.resend", TargetType: "invitation", Target: id})
	link, err := d.deliver(tx, i, life, hand)
	return i, link, err
}

// Withdraw ends an invitation. Its link is good no more. One that has ended stays
// as it is.
func (d *Desk) Withdraw(ctx context.Context, by audit.Actor, realm, id string) error {
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		i, err := invitationByID(tx, id)
		if err != nil {
			return err
		}
		if i.State == InvitationWithdrawn {
			audit.Barrier(tx)
			return nil
		}
		if i.State != InvitationOpen {
			return ended(i)
		}
		if err := endInvitation(tx, id, InvitationWithdrawn, ""); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "invitation.withdraw", TargetType: "invitation", Target: id})
		return nil
	})
}

// Invitation reads one, or is fault.NotFound.
func (d *Desk) Invitation(ctx context.Context, realm, id string) (i *Invitation, err error) {
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		if i, err = invitationByID(tx, id); err == nil {
			i.expire(tx.Now)
		}
		return err
	})
	return i, err
}

// Invitations lists up to limit invitations in a state ("": any), the oldest
// first, beginning behind the id after, and the id to go on behind, or "".
func (d *Desk) Invitations(ctx context.Context, realm string, s InvitationState, after string, limit int) ([]*Invitation, string, error) {
	if after != "" && !id.Valid("inv", after) {
		return nil, "", invalid("page", "is not one that was given out")
	}
	return db.Page(ctx, d.DB, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Invitation, error) {
		page, err := listInvitations(tx, s, after, limit)
		for _, i := range page {
			i.expire(tx.Now)
		}
		return page, err
	}, func(i *Invitation) string { return i.ID })
}

// expire says of an open invitation whose time is over that it is.
func (i *Invitation) expire(now time.Time) {
	if i.State == InvitationOpen && !now.Before(i.Expires) {
		i.State = InvitationExpired
	}
}

// OpenInvitation tells whom a link invites, or is fault.NotFound.
func (d *Desk) OpenInvitation(ctx context.Context, realm, link string) (n Newcomer, err error) {
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		i, _, err := d.invitation(tx, link, d.Links.OpenTx)
		if err == nil {
			n = Newcomer{Address: i.Address, Name: i.Name, Locale: i.Locale}
		}
		return err
	})
	return n, err
}

// invitation reads, or uses, a link. Only the latest link of an open invitation
// is good, and only while nobody has the address and whoever accepts can sign in.
func (d *Desk) invitation(tx *db.Tx, link string, read reading) (*Invitation, invited, error) {
	var v invited
	opened, err := read(tx, invitationKind(0), link)
	if err != nil {
		return nil, v, err
	}
	if err := json.Unmarshal(opened.Data, &v); err != nil {
		return nil, v, err
	}
	i, err := invitationByID(tx, v.ID)
	if fault.Is(err, fault.NotFound) {
		return nil, v, action.Unknown()
	}
	if err != nil {
		return nil, v, err
	}
	if i.State != InvitationOpen || i.serial != v.Serial || !tx.Now.Before(i.Expires) {
		return nil, v, action.Unknown()
	}
	if _, err := principal.ByIdentifierTx(tx, i.Address); !fault.Is(err, fault.NotFound) {
		return nil, v, cmp.Or(err, error(fault.New(fault.Conflict, "invitation_taken", "there is an account with the address of this invitation")))
	}
	return i, v, d.admitsTx(tx, v.Mailed)
}

// Accept uses an invitation's link: the account is there from now on, in the
// groups and organizations that were meant. It signs nobody in.
func (d *Desk) Accept(ctx context.Context, by audit.Actor, r *realm.Realm, link string, c Account) (made *principal.Principal, err error) {
	n, err := d.OpenInvitation(ctx, r.Name, link)
	if err != nil {
		return nil, err
	}
	hashed, err := d.hashFor(ctx, r, n, c)
	if err != nil {
		return nil, err
	}
	err = d.DB.Update(ctx, r.Name, func(tx *db.Tx) error {
		i, v, err := d.invitation(tx, link, d.Links.UseTx)
		if err != nil {
			return err
		}
		if made, err = d.accept(tx, by, i, v.Mailed, c, hashed); err != nil {
			return err
		}
		return endInvitation(tx, i.ID, InvitationAccepted, made.ID)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (d *Desk) accept(tx *db.Tx, by audit.Actor, i *Invitation, verified bool, c Account, hashed *credential.Hashed) (*principal.Principal, error) {
	made, err := d.begin(tx, by, Newcomer{Address: i.Address, Name: i.Name, Locale: i.Locale}, verified, c, hashed)
	if err != nil {
		return nil, err
	}
	as := person(by, made.ID)
	for _, in := range i.Containers {
		err := principal.AddMemberTx(tx, as, in.Container, made.ID, in.Relation)
		if err != nil && !fault.Is(err, fault.NotFound) { // one that is gone by now is left out
			return nil, err
		}
	}
	audit.Append(tx, as, audit.Event{Action: "invitation.accept", TargetType: "invitation", Target: i.ID, Data: map[string]any{"principal": made.ID}})
	return made, nil
}

func ended(i *Invitation) error {
	return fault.New(fault.Conflict, "invitation_ended", "the invitation is %s; make another one", i.State)
}

func unknownInvitation() error {
	return fault.New(fault.NotFound, "invitation_unknown", "there is no such invitation")
}

func invalid(field, why string) error {
	return fault.New(fault.Invalid, field+"_invalid", "%s %s", field, why).WithField(field, why)
}
