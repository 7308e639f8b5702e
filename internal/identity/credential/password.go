package credential

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// Passwords checks and sets the passwords of people.
type Passwords struct {
	guesses
	log      *audit.Log
	realms   *realm.Registry
	breached *Breaches
	service  *Range
	hasher   *hasher
	argon    argon // how new passwords are hashed
	watch    Watch // may be nil
}

// PasswordOptions tune Passwords. The zero value is right for most.
type PasswordOptions struct {
	// Breached are passwords not to be chosen, from a file the operator brought.
	Breached *Breaches
	// Service knows more of them; nil: none is asked.
	Service *Range
	// Workers is how many hashes are computed at a time; 0: one per core.
	Workers int
	// Cheap makes hashes that cost next to nothing, which protect nobody. Tests
	// that are not about passwords set it.
	Cheap bool
}

// NewPasswords returns what checks and sets passwords.
func NewPasswords(d *db.DB, log *audit.Log, realms *realm.Registry, o PasswordOptions) *Passwords {
	how := preferred
	if o.Cheap {
		how = cheap
	}
	return &Passwords{guesses: guesses{db: d, seed: maphash.MakeSeed()}, log: log, realms: realms, breached: o.Breached, service: o.Service, hasher: newHasher(o.Workers, time.Second), argon: how}
}

// Attempt is somebody trying a password.
type Attempt struct {
	Identifier string // username or e-mail address as typed
	Principal  string // or the id of somebody already known, who confirms
	Password   secret.Text
	Browser    string // the mark in the browser's cookie, or ""
}

// Outcome says what became of an attempt. The zero value is a wrong password.
type Outcome int

// The outcomes. Only Right opens anything. Whoever tries is told the same about
// Wrong, whatever lies behind it.
const (
	Wrong   Outcome = iota // nobody of that name, no password, a wrong one, or an account that is not active
	Limited                // not evaluated: too many wrong ones before
	Right
)

// Result is what became of an attempt.
type Result struct {
	Outcome    Outcome
	Principal  *principal.Principal // if Right
	Credential string               // if Right
	MustChange bool                 // if Right: the password is compromised or expired and opens only its own replacement
	Expired    bool                 // if MustChange: for nothing but its age
	AMR        []string             // if Right: RFC 8176 values
	RetryAfter time.Duration        // if Limited
}

// candidate is what an attempt is checked against. Everybody has one, also
// people that there are not, and reading it takes the same queries.
type candidate struct {
	principal  *principal.Principal // nil: nobody
	credential Credential           // zero: no password
	bucket     bucket
	wait       time.Duration // known to be limited already
}

// Check evaluates an attempt. Being wrong or limited is a result; errors are a
// password beyond the accepted length (fault.Invalid), too many people signing
// in at once (fault.TooMany), and a database that is away. It reserves the
// attempt first, so that no more are evaluated than the realm allows.
func (p *Passwords) Check(ctx context.Context, by audit.Actor, name string, a Attempt) (Result, error) {
	password, err := normalise(string(a.Password))
	if err != nil {
		return Result{}, err
	}
	leave, err := p.hasher.admit()
	if err != nil {
		return Result{}, err
	}
	defer leave()
	r, err := p.realms.ByName(ctx, name)
	if err != nil {
		return Result{}, err
	}
	c, err := p.candidate(ctx, r, a)
	if err != nil {
		return Result{}, err
	}
	if c.wait > 0 {
		return p.limited(by, name, c, c.wait, "guess_limit"), nil
	}
	tried := c.tried(password)
	wait, shut, err := p.admit(ctx, name, by, tried)
	if err != nil {
		return Result{}, err
	}
	if wait > 0 {
		return p.limited(by, name, c, wait, "network_held"), nil
	}
	reserved, wait, err := p.reserve(ctx, name, c.bucket, r.Settings)
	if err != nil {
		return Result{}, err
	}
	if wait > 0 {
		return p.limited(by, name, c, wait, "guess_limit"), nil
	}
	hash, problem := c.verifier(p.argon)
	var matches bool
	if err := p.hasher.run(ctx, func() { matches = hash.matches(password) }); err != nil {
		return Result{}, or(p.release(ctx, name, reserved), err) // nothing was evaluated
	}
	switch {
	case problem == "" && !matches:
		problem = "password_wrong"
	case problem == "" && shut:
		problem = "account_held"
	}
	if err := p.noted(ctx, name, by, tried, matches); err != nil {
		return Result{}, err
	}
	if problem != "" {
		p.refused(by, name, c, problem)
		return Result{Outcome: Wrong}, nil
	}
	if err := p.settle(ctx, name, c, reserved, p.stronger(ctx, hash, password)); err != nil {
		return Result{}, err
	}
	old := c.credential.expired(p.db.Now(), r.Settings.PasswordMaxAge)
	return Result{Outcome: Right, Principal: c.principal, Credential: c.credential.ID, MustChange: c.credential.MustChange || old, Expired: old && !c.credential.MustChange, AMR: []string{"pwd"}}, nil
}

// or returns the first error there is.
func or(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// candidate reads what an attempt is checked against.
func (p *Passwords) candidate(ctx context.Context, r *realm.Realm, a Attempt) (c candidate, err error) {
	err = p.db.View(ctx, r.Name, func(tx *db.Tx) error {
		c = candidate{}
		var found *principal.Principal
		if a.Principal != "" {
			found, err = principal.ByIDTx(tx, a.Principal)
		} else {
			found, err = principal.ByIdentifierTx(tx, a.Identifier)
		}
		id := nobody
		switch {
		case err == nil:
			id = found.ID
			c.principal, c.bucket.subject = found, found.ID
		case fault.Is(err, fault.NotFound):
			c.bucket.subject = subjectOf(a.Principal + a.Identifier)
			if _, err := principal.ByIDTx(tx, nobody); !fault.Is(err, fault.NotFound) {
				return err // read for the time it takes
			}
		default:
			return err
		}
		if c.credential, err = livePassword(tx, id); err != nil {
			return err
		}
		if c.bucket.browser, err = knownBrowser(tx, id, BrowserHash(a.Browser)); err != nil {
			return err
		}
		all, err := readAttempts(tx, c.bucket)
		if err != nil {
			return err
		}
		_, c.wait = window(all, tx.Now, r.Settings)
		return nil
	})
	return c, err
}

// nobody is an id that no principal has.
const nobody = "usr_00000000000000000000000000"

// verifier returns what to check a password against, and why even a match would
// open nothing.
func (c candidate) verifier(how argon) (v verifier, problem string) {
	switch {
	case c.principal == nil:
		return decoy{how}, "principal_unknown"
	case c.credential.ID == "":
		return decoy{how}, "password_missing"
	}
	v, err := parseHash(c.credential.data)
	if err != nil {
		return decoy{how}, "password_hash_unusable"
	}
	if c.principal.State != principal.Active {
		problem = "principal_" + string(c.principal.State)
	}
	return v, problem
}

// stronger hashes a right password anew if it was not hashed as new ones are, or
// returns "". It is skipped when the machine is busy: the next sign-in comes.
func (p *Passwords) stronger(ctx context.Context, v verifier, password string) (data string) {
	if v.current(p.argon) {
		return ""
	}
	if err := p.hasher.run(ctx, func() { data = p.argon.hash(password) }); err != nil {
		return ""
	}
	return data
}

// settle gives back the reservation of a right password, and notes its use.
func (p *Passwords) settle(ctx context.Context, name string, c candidate, r reservation, stronger string) error {
	turn := p.turn(name, r.bucket)
	turn.Lock()
	defer turn.Unlock()
	return p.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		if err := releaseTx(tx, r); err != nil {
			return err
		}
		if err := noteUse(tx, c.credential.ID); err != nil || stronger == "" {
			return err
		}
		replaced, err := replaceHash(tx, c.credential.ID, c.credential.Version, stronger)
		if err == nil && replaced {
			audit.Append(tx, audit.System, audit.Event{Action: "credential.rehash", TargetType: string(Password), Target: c.credential.ID,
				Data: map[string]any{"principal": c.credential.Principal}, Invalidates: true})
		}
		return err
	})
}

func (p *Passwords) limited(by audit.Actor, name string, c candidate, wait time.Duration, reason string) Result {
	p.refused(by, name, c, reason)
	return Result{Outcome: Limited, RetryAfter: wait}
}

// refused leaves a trace of an attempt that failed. What was typed is in it
// neither as a name nor as a password: people confuse the two fields.
func (p *Passwords) refused(by audit.Actor, name string, c candidate, reason string) {
	target := ""
	if c.principal != nil {
		target = c.principal.ID
	}
	refuseSignIn(p.log, name, by, target, reason, "password")
}
