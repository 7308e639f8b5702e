// Package notice tells people by letter what was done to their accounts: factors
// that came or went, passwords and addresses that changed, recovery codes that
// were used. It listens to the events themselves, so whatever adds a way to do
// one of these things cannot forget to tell. A letter is promised in the
// transaction of its event.
//
// What people are told is little, so that they read it: nothing of what made the
// account, one letter for what happened at once, and no echo to the address that
// was just proved.
package notice

import (
	"maps"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// The events that people are told of.
const (
	created = "credential.create"
	changed = "credential.change"
	revoked = "credential.revoke"
	rescued = "credential.recovery_use"
	// The address changes that owners of the former addresses are told of.
	emailAdded    = "principal.email.add"
	emailRemoved  = "principal.email.remove"
	emailPrimary  = "principal.email.primary"
	emailReplaced = "principal.email.change"
)

// silent are the credentials that no person signs in with.
var silent = []string{string(credential.ClientSecret), string(credential.SealedSecret), string(credential.PublicKey), string(credential.KeySet), string(credential.Federated), string(credential.Mailbox)}

// Attach has people told of what happens. Call it before the log is started.
func Attach(log *audit.Log, letters *letter.Letters) {
	if !letters.Ready() {
		return
	}
	t := teller{letters}
	log.Within(t.tell, created, changed, revoked, rescued, emailAdded, emailRemoved, emailPrimary, emailReplaced)
}

type teller struct{ letters *letter.Letters }

// key is one letter to one person: what happened at once is told at once.
type key struct{ person, kind string }

// draft is a letter that is being gathered.
type draft struct {
	by      audit.Actor
	factors []string
	before  []principal.Email
	event   string
}

// tell writes the letters that the events of one transaction ask for.
func (t teller) tell(tx *db.Tx, happened []audit.Record) error {
	drafts, fresh := map[key]*draft{}, map[string]bool{}
	note := func(person, kind string, r audit.Record) *draft {
		k := key{person, kind}
		if drafts[k] == nil {
			drafts[k] = &draft{by: r.Actor, event: r.Action}
		}
		return drafts[k]
	}
	for _, r := range happened {
		owner, _ := r.Data["principal"].(string)
		switch r.Action {
		case "principal.create":
			fresh[r.Target] = true
		case created, changed, revoked:
			if slices.Contains(silent, r.TargetType) {
				continue
			}
			kind, err := kindOf(tx, r, owner)
			if err != nil {
				return err
			}
			if kind != "" {
				d := note(owner, kind, r)
				d.factors = append(d.factors, r.TargetType)
			}
		case rescued:
			note(owner, "recovery_used", r)
		case emailAdded, emailRemoved, emailPrimary, emailReplaced:
			d := note(r.Target, "email_changed", r)
			if before, ok := r.Aside.([]principal.Email); ok && d.before == nil {
				d.before = before
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(drafts), func(a, b key) int { return strings.Compare(a.person+a.kind, b.person+b.kind) }) {
		if fresh[k.person] {
			continue
		}
		if err := t.write(tx, k, drafts[k]); err != nil {
			return err
		}
	}
	return nil
}

// kindOf is the letter about a credential that came or went, "" for none.
func kindOf(tx *db.Tx, r audit.Record, owner string) (string, error) {
	password := r.TargetType == string(credential.Password)
	switch {
	case r.Action == revoked && r.Data["reason"] == "replaced":
		return "", nil // what replaces it is told
	case r.Action == revoked:
		return "factor_removed", nil
	case r.Action == changed, password && r.Data["replaces"] != nil:
		return "password_changed", nil
	case !password:
		return "factor_added", nil
	}
	// The first password of somebody who has nothing else is how an account
	// begins. Beside something else it is one more way in.
	all, err := credential.LivingTx(tx, owner)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(all, func(c credential.Credential) bool {
		return c.Type != credential.Password && !slices.Contains(silent, string(c.Type))
	}) {
		return "factor_added", nil
	}
	return "", nil
}

// write writes a letter to everybody who should have it.
func (t teller) write(tx *db.Tx, k key, d *draft) error {
	p, err := principal.ByIDTx(tx, k.person)
	if fault.Is(err, fault.NotFound) || err == nil && (p.Kind != principal.Person || p.State == principal.Deleted) {
		return nil
	}
	if err != nil {
		return err
	}
	n := letter.Letter{Kind: k.kind, Principal: k.person, Data: map[string]string{"factor": strings.Join(slices.Compact(slices.Sorted(slices.Values(d.factors))), " ")}}
	if d.by.Kind == string(principal.Person) && (d.by.ID == k.person || d.by.ID == "") || d.by.Kind == "anonymous" {
		n.Data["device"], n.Data["place"] = d.by.UserAgent, d.by.IP
	}
	if k.kind != "email_changed" {
		return t.letters.SendTx(tx, n)
	}
	for _, address := range told(d, p) {
		n.To = address
		if err := t.letters.SendTx(tx, n); err != nil {
			return err
		}
	}
	return nil
}

// told are the addresses that hear of a change of addresses: those that were
// proved before it, the removed ones among them. One that was replaced hears of
// it from whoever replaced it, who can say how to take it back.
func told(d *draft, p *principal.Principal) (all []string) {
	for _, e := range d.before {
		still := slices.ContainsFunc(p.Emails, func(now principal.Email) bool { return now.Address == e.Address })
		if e.Verified && (still || d.event != emailReplaced) {
			all = append(all, e.Address)
		}
	}
	return all
}
