package registration

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/secret"
)

const sectorURI = "sector_identifier_uri"

// sectorHost is the host whose clients share pairwise subjects (OpenID Connect
// Core, section 8.1).
func sectorHost(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", invalid(sectorURI, "must be an https URL")
	}
	return strings.ToLower(u.Hostname()), nil
}

// sector makes the host of the document at sector_identifier_uri the client's
// sector. Whether the document names the client is asked by checkSector.
func (s *Software) sector(all members, settings *client.Settings) (err error) {
	if s.Sector, err = all.text(sectorURI); err != nil || s.Sector == "" {
		return err
	}
	host, err := sectorHost(s.Sector)
	if err == nil && settings.SubjectType == client.Pairwise {
		settings.Sector = host
	}
	return err
}

// checkSector asks the document that says who belongs to the sector (OpenID
// Connect Dynamic Client Registration, section 5): else anybody could learn the
// subjects by which another's clients know people. It is asked for once, at each
// registration and update.
func (r *Registry) checkSector(ctx context.Context, m metadata) error {
	if m.software.Sector == "" {
		return nil
	}
	doc, err := r.fetch.Get(ctx, m.software.Sector, "application/json")
	if err != nil {
		return invalid(sectorURI, "cannot be fetched, or is not application/json")
	}
	var listed []string
	if json.Unmarshal(doc.Body, &listed) != nil {
		return invalid(sectorURI, "is not a JSON array of redirect URIs")
	}
	for _, uri := range m.settings.RedirectURIs {
		if !slices.Contains(listed, uri) {
			return invalid(sectorURI, "does not list %q", uri)
		}
	}
	return nil
}

// admit asks whether an initial access token could be spent, before anything is
// fetched for whoever shows it.
func (r *Registry) admit(ctx context.Context, realm string, initial secret.Text) error {
	if initial == "" {
		return nil
	}
	err := r.db.View(ctx, realm, func(tx *db.Tx) error {
		_, err := spendable(tx, secret.Hash(string(initial)))
		return err
	})
	if db.Missing(err) {
		return stranger()
	}
	return err
}
