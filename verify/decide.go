package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Entity is somebody or something that policies speak of.
type Entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

// Question asks the issuer's decision service whether a subject may do an action
// to a resource.
type Question struct {
	// Subject is who would do it. [Verifier.Authorize] fills it in from the token
	// where it is empty.
	Subject Entity
	// Action is the name of the action, ActionProperties what else is known of it.
	Action           string
	ActionProperties map[string]any
	Resource         Entity
	// Context are the circumstances.
	Context map[string]any
	// Token is the subject's own access token: it tells the service how the person
	// signed in. [Verifier.Authorize] sends the one of the request.
	Token string
	// MinRevision is a revision that an earlier answer or a write named: the answer
	// is never older.
	MinRevision string
}

// Decision is the service's answer. The zero value denies.
type Decision struct {
	Allowed  bool
	ID       string    // for cardea why
	Revision string    // how new the facts were
	Policies []string  // ids of the policies that decided
	Reasons  []Reason  // why
	Error    string    // why the policies could not be asked
	StepUp   *SignedIn // when denied: with such a sign-in it would be allowed
}

// Reason is one thing that led to a decision.
type Reason struct {
	Policy string `json:"policy"`
	Text   string `json:"text"`
	Error  string `json:"error"`
}

// ErrUndecided says that the decision service could not be asked or did not
// answer. It is never a yes.
var ErrUndecided = errors.New("no decision could be had")

// DecisionsConfig is what Decisions needs to know. Issuer and Credentials must be
// set.
type DecisionsConfig struct {
	// Issuer is the issuer URL, below which the service is. It must be https, except
	// on the loopback interface.
	Issuer string
	// Credentials prove who asks: ClientSecret of a resource server, or AccessToken
	// with a token for {issuer}/access/v1 that has scope cardea:decide.
	Credentials Credentials
	// HTTPClient makes the requests, if set. Redirects are never followed.
	HTTPClient *http.Client
	// Timeout bounds one question. Default 2 s.
	Timeout time.Duration
}

// Decisions asks an issuer's decision service (AuthZEN 1.0). It is safe for
// concurrent use, and keeps nothing: an answer counts for the moment.
type Decisions struct {
	c    DecisionsConfig
	base string
}

// NewDecisions returns a client of the service.
func NewDecisions(c DecisionsConfig) (*Decisions, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return nil, err
	}
	if c.Credentials == nil {
		return nil, errors.New("verify: the decision service answers nobody without Credentials")
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	h := http.Client{Transport: Transport()}
	if c.HTTPClient != nil {
		h = *c.HTTPClient
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTPClient = &h
	return &Decisions{c, strings.TrimSuffix(c.Issuer, "/") + "/access/v1"}, nil
}

// wireQuestion is how a question is sent.
type wireQuestion struct {
	Subject  Entity         `json:"subject"`
	Action   wireAction     `json:"action"`
	Resource Entity         `json:"resource"`
	Context  map[string]any `json:"context,omitempty"`
}

type wireAction struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

// wireDecision is how a decision comes back. What is not there denies.
type wireDecision struct {
	Decision bool `json:"decision"`
	Context  struct {
		ID       string   `json:"id"`
		Revision string   `json:"revision"`
		Policies []string `json:"policies"`
		Reasons  []Reason `json:"reasons"`
		Error    *struct {
			Message string `json:"message"`
		} `json:"error"`
		StepUp *struct {
			ACR    string `json:"acr_values"`
			MaxAge int64  `json:"max_age"`
		} `json:"step_up"`
	} `json:"context"`
}

func (w *wireDecision) decision() Decision {
	d := Decision{Allowed: w.Decision, ID: w.Context.ID, Revision: w.Context.Revision, Policies: w.Context.Policies, Reasons: w.Context.Reasons}
	if w.Context.Error != nil {
		d.Error = w.Context.Error.Message
	}
	if s := w.Context.StepUp; s != nil && !d.Allowed {
		d.StepUp = &SignedIn{ACR: strings.Fields(s.ACR), Within: time.Duration(s.MaxAge) * time.Second}
	}
	return d
}

func (q *Question) wire() wireQuestion {
	w := wireQuestion{q.Subject, wireAction{q.Action, q.ActionProperties}, q.Resource, q.Context}
	if q.Token != "" {
		w.Context = map[string]any{}
		for name, v := range q.Context {
			w.Context[name] = v
		}
		w.Context["access_token"] = q.Token
	}
	return w
}

// Decide asks one question. An error is ErrUndecided; the decision then denies.
func (d *Decisions) Decide(ctx context.Context, q Question) (Decision, error) {
	var w wireDecision
	if err := d.post(ctx, "/evaluation", q.MinRevision, q.wire(), &w); err != nil {
		return Decision{}, err
	}
	return w.decision(), nil
}

// DecideAll asks many questions on one state and answers in their order. Each is
// asked; MinRevision of the first counts for all.
func (d *Decisions) DecideAll(ctx context.Context, questions []Question) ([]Decision, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	items := make([]wireQuestion, len(questions))
	for i := range questions {
		items[i] = questions[i].wire()
	}
	var w struct {
		Evaluations []wireDecision `json:"evaluations"`
	}
	if err := d.post(ctx, "/evaluations", questions[0].MinRevision, map[string]any{"evaluations": items}, &w); err != nil {
		return nil, err
	}
	if len(w.Evaluations) != len(questions) {
		return nil, fmt.Errorf("%w: %d answers to %d questions", ErrUndecided, len(w.Evaluations), len(questions))
	}
	all := make([]Decision, len(questions))
	for i := range w.Evaluations {
		all[i] = w.Evaluations[i].decision()
	}
	return all, nil
}

const maxDecisions = 4 << 20

func (d *Decisions) post(ctx context.Context, path, min string, body, out any) error {
	undecided := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrUndecided, fmt.Errorf(format, args...))
	}
	text, err := json.Marshal(body)
	if err != nil {
		return undecided("the question cannot be written: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+path, bytes.NewReader(text))
	if err != nil {
		return undecided("%w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if min != "" {
		r.Header.Set("Min-Revision", min)
	}
	if err := d.c.Credentials(ctx, r); err != nil {
		return undecided("no credentials: %w", err)
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return undecided("these credentials replace the question by a form: use ClientSecret or AccessToken")
	}
	res, err := d.c.HTTPClient.Do(r)
	if err != nil {
		return undecided("%w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxDecisions+1))
	switch {
	case err != nil:
		return undecided("%w", err)
	case res.StatusCode != http.StatusOK:
		return undecided("%s answered %s: %.200s", path, res.Status, answer)
	case len(answer) > maxDecisions:
		return undecided("the answer is larger than %d bytes", maxDecisions)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return undecided("the answer cannot be read: %w", err)
	}
	return nil
}
