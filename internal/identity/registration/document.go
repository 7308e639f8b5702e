package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// Bounds of client id metadata documents (draft-ietf-oauth-client-id-metadata-document).
const (
	maxDocument    = 5 << 10 // bytes
	maxRemembered  = 1000    // documents a node holds in memory
	documentFloor  = time.Minute
	documentsRetry = 30 * time.Second
)

// documentTypes are the media types that documents may have: JSON, or JSON of
// the name that the draft gives it.
var documentTypes = []string{"application/json", "application/oauth-client-id-metadata+json", "application/cimd+json"}

// documents remembers what was read at addresses that are client ids. A client
// is a row only once somebody agreed to something: until then strangers cost
// memory, which is bounded, and nothing else.
type documents struct {
	mu  sync.Mutex
	all map[string]*document
}

// document is what is remembered of one address in one realm.
type document struct {
	loading sync.Mutex // held by the one request that fetches, others wait for it

	mu    sync.Mutex // guards the rest, never held over a fetch
	body  []byte     // nil: nothing good was read
	fresh time.Time  // until when body counts
}

// Document finds the client whose id is the address of its metadata, as the
// document says it is today. Nothing of it counts that was not read within its
// bounds: a document that vanished is fault.Forbidden, for new requests; what
// the client was given before lives on. may is asked before anything is fetched.
//
// The client may be no row yet, which its empty Principal says; see Settle.
func (r *Registry) Document(ctx context.Context, rl *realm.Realm, id string, may func() error) (*client.Client, error) {
	if err := r.Admits(rl, id); err != nil {
		return nil, err
	}
	row, err := r.clients.ByID(ctx, rl.Name, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if row != nil && !row.Enabled {
		return nil, fault.New(fault.Forbidden, "client_disabled", "client %q is disabled", id)
	}
	var settings client.Settings
	err = r.read(ctx, rl.Name, id, may, func(body []byte) (err error) {
		settings, err = policyOf(&rl.Settings).document(id, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	if row == nil {
		return &client.Client{Realm: rl.Name, ID: id, Source: client.FromDocument, Enabled: true, Settings: settings}, nil
	}
	today := *row
	today.Settings = settings
	return &today, nil
}

// Shown finds a client in order to show it: one whose id is an address as its
// document was last read or, failing that, as its row is. A node that knows
// neither reads the document, since any node may have begun.
func (r *Registry) Shown(ctx context.Context, rl *realm.Realm, id string, may func() error) (*client.Client, error) {
	if !client.IsDocument(id) {
		return r.clients.ByID(ctx, rl.Name, id)
	}
	c, err := r.Document(ctx, rl, id, func() error { return errNotHere })
	if err == nil {
		return c, nil
	}
	if c, err = r.clients.ByID(ctx, rl.Name, id); fault.Is(err, fault.NotFound) {
		return r.Document(ctx, rl, id, may)
	}
	return c, err
}

// Admits asks whether the realm takes clients of this address at all.
func (r *Registry) Admits(rl *realm.Realm, id string) error {
	s := &rl.Settings
	host := client.DocumentHost(id)
	if !s.TakesDocuments() || !realm.ListsHost(realm.List(s.ClientDocumentHosts), host) || realm.ListsHost(realm.List(s.ClientDocumentDeniedHosts), host) {
		return fault.New(fault.Forbidden, "client_document_refused", "the realm takes no clients from %q", host)
	}
	if err := r.fetch.Check(id); err != nil {
		return unusable("its address is not one that is fetched")
	}
	return nil
}

// read gives use the document at an address, from memory while that is fresh.
// What use refuses is not remembered (draft, section "Metadata Caching").
func (r *Registry) read(ctx context.Context, name, id string, may func() error, use func(body []byte) error) error {
	d := r.documents.entry(name + " " + id)
	now := r.db.Now()
	if body := d.have(now); body != nil {
		return use(body)
	}
	d.loading.Lock()
	defer d.loading.Unlock()
	if body := d.have(now); body != nil {
		return use(body)
	}
	if err := may(); err != nil {
		return err
	}
	// A fetch serves everybody who waits for it, so it does not end with the
	// request that began it; the fetcher bounds it.
	got, err := r.fetch.Get(context.WithoutCancel(ctx), id, documentTypes...)
	switch {
	case err != nil:
		return unusable("it cannot be fetched")
	case len(got.Body) > maxDocument:
		return unusable(fmt.Sprintf("it is larger than %d bytes", maxDocument))
	}
	if err := use(got.Body); err != nil {
		return err
	}
	d.keep(got.Body, now.Add(max(got.MaxAge, documentFloor)))
	return nil
}

func (d *document) have(now time.Time) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Before(d.fresh) {
		return d.body
	}
	return nil
}

func (d *document) keep(body []byte, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.body, d.fresh = body, until
}

// entry finds what is remembered, and forgets somebody else when there is too
// much.
func (f *documents) entry(key string) *document {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.all[key]; d != nil {
		return d
	}
	if f.all == nil {
		f.all = map[string]*document{}
	}
	for other := range f.all {
		if len(f.all) < maxRemembered {
			break
		}
		delete(f.all, other)
	}
	d := &document{}
	f.all[key] = d
	return d
}

// document reads a client id metadata document. One document is for all
// servers, so what it names beyond the realm's policy is left out instead of
// refused; where answers go and how the client authenticates is not.
func (p policy) document(id string, body []byte) (client.Settings, error) {
	m, all, err := readMembers(body)
	if err != nil {
		return client.Settings{}, unusable("it cannot be read")
	}
	if m.clientID != id {
		return client.Settings{}, unusable("its client_id is not its address")
	}
	if _, ok := all["client_secret"]; ok {
		return client.Settings{}, unusable("it holds a secret")
	}
	for _, name := range cannot {
		delete(all, name)
	}
	if err := p.narrow(all); err != nil {
		return client.Settings{}, err
	}
	s, err := settings(all)
	if err != nil {
		return client.Settings{}, unusable(err.Error())
	}
	s.Scopes = slices.DeleteFunc(s.Scopes, func(scope string) bool { return !slices.Contains(p.scopes, scope) })
	if len(all["scope"]) == 0 {
		s.Scopes = slices.Clone(p.scopes)
	}
	s.DetailTypes = slices.DeleteFunc(s.DetailTypes, func(name string) bool { return !slices.Contains(p.detailTypes, name) })
	s.Resources = slices.Clone(p.resources)
	if s.AuthMethod != client.None && s.AuthMethod != client.PrivateKeyJWT {
		return client.Settings{}, unusable("its client can only authenticate with keys, or not at all")
	}
	for _, uri := range slices.AppendSeq(slices.Concat(s.RedirectURIs, s.PostLogoutRedirectURIs), maps.Values(told(&s))) {
		if !p.leads(uri) {
			return client.Settings{}, unusable("it names an address that the realm does not let clients name")
		}
	}
	s.Defaults()
	if err := s.Validate(); err != nil {
		return client.Settings{}, unusable(words(err).Error())
	}
	return s, nil
}

// otherwise are members that say nothing here about a client with a document:
// they belong to grants that such a client does not get.
var otherwise = [...]string{
	"response_types", "backchannel_token_delivery_mode", "backchannel_client_notification_endpoint",
	"backchannel_authentication_request_signing_alg",
}

// narrow takes out of a document what is for other servers, and fills in how
// the client authenticates where it does not say.
func (p policy) narrow(all members) error {
	set := func(name string, v any) {
		raw, _ := json.Marshal(v) // strings
		all[name] = raw
	}
	var grants []string
	if raw, ok := all["grant_types"]; ok && json.Unmarshal(raw, &grants) != nil {
		return unusable("grant_types has the wrong shape")
	}
	grants = slices.DeleteFunc(grants, func(g string) bool { return g != client.AuthorizationCode && g != client.RefreshToken })
	if !slices.Contains(grants, client.AuthorizationCode) {
		grants = append(grants, client.AuthorizationCode)
	}
	set("grant_types", grants)
	for _, name := range otherwise {
		delete(all, name)
	}
	if _, ok := all["token_endpoint_auth_method"]; ok {
		return nil
	}
	method := client.None
	for _, name := range []string{"jwks", "jwks_uri"} {
		if _, ok := all[name]; ok {
			method = client.PrivateKeyJWT
		}
	}
	set("token_endpoint_auth_method", string(method))
	return nil
}

// Settle makes the row of a client whose id is an address say what its document
// says. It is called when somebody agreed to give it something, so that grants,
// revocation and the log have something to hang on.
func (r *Registry) Settle(ctx context.Context, by audit.Actor, rl *realm.Realm, c *client.Client) error {
	if row, err := r.clients.ByID(ctx, rl.Name, c.ID); err == nil && encoded(row.Settings) == encoded(c.Settings) {
		return nil
	}
	principal := ""
	err := r.db.Update(ctx, rl.Name, func(tx *db.Tx) error {
		row, err := client.ByIDTx(tx, c.ID)
		if fault.Is(err, fault.NotFound) {
			return r.settleNew(tx, by, rl, c)
		}
		if err != nil {
			return err
		}
		principal = row.Principal
		_, err = r.clients.UpdateTx(tx, by, c.ID, 0, c.Settings)
		return err
	})
	if principal == "" {
		return err
	}
	return r.grants.EndRevoked(ctx, by, rl.Name, principal, "the client's document names other keys now", err)
}

func (r *Registry) settleNew(tx *db.Tx, by audit.Actor, rl *realm.Realm, c *client.Client) error {
	n, err := client.CountTx(tx, client.FromDocument)
	if err != nil {
		return err
	}
	if n >= int64(rl.Settings.ClientDocumentMax) {
		return fault.New(fault.Unavailable, "client_documents_exhausted", "the realm has as many clients as it takes; ask its operator").WithRetry(documentsRetry)
	}
	_, err = r.clients.CreateTx(tx, by, client.Draft{ID: c.ID, Source: client.FromDocument, Settings: c.Settings})
	return err
}

func encoded(s client.Settings) string {
	b, _ := json.Marshal(s) // plain data
	return string(b)
}

func unusable(why string) error {
	return fault.New(fault.Forbidden, "client_document_unusable", "the client's metadata document is not usable: %s", strings.TrimPrefix(why, errMetadata+": "))
}

// errNotHere says that a document is not in memory.
var errNotHere = errors.New("the client's metadata document is not in memory")
