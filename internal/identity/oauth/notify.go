package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// KindAsked is the job that has a person told that something waits for them.
const KindAsked = "approval-asked"

// askedAttempts is how often it is tried, over about a minute: a request waits
// for minutes only.
const askedAttempts = 6

// Notifier has people told that something waits for them at the page of
// approvals. How it reaches them is its business. It may be asked to tell of one
// request more than once; an error has it asked again.
type Notifier interface {
	Notify(ctx context.Context, rl *realm.Realm, n Notice) error
}

// Notice is what a person is told about.
type Notice struct {
	ID      string // of the notice: the same at each attempt
	Request *approval.Request
	Client  *client.Client
}

// promiseAsked runs in the transaction that writes a request down. It does so
// for hints that are nobody's too, so that they take the same time.
func (s *Server) promiseAsked(tx *db.Tx, r *approval.Request) error {
	if r.Kind != approval.Backchannel {
		return nil
	}
	_, err := s.jobs.AddTx(tx, job.Promise{Kind: KindAsked, Key: r.ID, Subject: r.ID})
	return err
}

// tellAsked makes one attempt, as long as somebody can still decide.
func (s *Server) tellAsked(ctx context.Context, j *job.Job) error {
	r, err := s.approvals.ByID(ctx, j.Realm, j.Subject)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.Open(s.now()) || !principal.ValidID(r.Subject) {
		return nil
	}
	rl, err := s.realms.ByName(ctx, j.Realm)
	if err != nil {
		return err
	}
	c, err := s.clients.Live(ctx, j.Realm, r.Client)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return job.Never(errors.New("the client is disabled or deleted"))
	}
	if err != nil {
		return err
	}
	return s.notifier.Notify(ctx, rl, Notice{j.ID, r, c})
}

// TypeNotice is the type of the signed token that a webhook gets.
const TypeNotice = "approval-notice+jwt"

// Webhook tells whatever the realm's approval_webhook names: it posts a token
// that the realm has signed, which can be verified like its other tokens. It
// holds nothing by which somebody could decide in the person's place.
type Webhook struct {
	Ring *keyring.Ring
	Send func(ctx context.Context, uri string, m web.Message) error
}

// notice is the payload.
type notice struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"` // when nobody can decide any more
	Subject  string `json:"sub"` // who is asked
	Approval string `json:"approval"`
	Client   string `json:"client_id"`
	Name     string `json:"client_name"`
	Scope    string `json:"scope"`
	Message  string `json:"binding_message,omitempty"`
	Page     string `json:"page"`
}

// Notify posts the token. Realms without a webhook tell nobody: people find what
// waits for them when they look.
func (h Webhook) Notify(ctx context.Context, rl *realm.Realm, n Notice) error {
	uri := rl.Settings.ApprovalWebhook
	if uri == "" {
		return nil
	}
	key, err := h.Ring.Signer(ctx, rl.Name, client.DefaultAlg)
	if err != nil {
		return err
	}
	r := n.Request
	payload, err := json.Marshal(notice{Issuer: rl.Issuer, Audience: uri, ID: n.ID, Issued: r.Created.Unix(), Expires: r.Expires.Unix(), Subject: r.Subject,
		Approval: r.ID, Client: n.Client.ID, Name: n.Client.Name, Scope: strings.Join(r.Scopes, " "), Message: r.Message, Page: rl.Issuer + signin.PathApprovals})
	if err != nil {
		return err
	}
	text, err := jose.Sign(key, TypeNotice, payload)
	if err != nil {
		return err
	}
	return h.Send(ctx, uri, web.Message{Type: "application/jwt", Body: []byte(text)})
}
