package principal

import (
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
)

// hitsBehind reads what begins with words behind a place, in order: names and
// addresses from their spaces, display names from theirs.
func hitsBehind(tx *db.Tx, k Kind, words string, at hit, limit int) ([]hit, error) {
	spaces := []Kind{k}
	if k == "" {
		spaces = []Kind{Person, Service, Workload, Agent, Group, Organization}
	}
	args := []any{tx.Realm, at.key, at.principal, append([]byte(words), 0xff), limit} // no UTF-8 has the byte 0xff
	parts := []string{`SELECT key, principal FROM (SELECT sort_key AS key, id AS principal FROM principals
		WHERE realm = $1 AND (sort_key, id) > ($2, $3) AND sort_key < $4 ORDER BY sort_key, id LIMIT $5) AS display_names`}
	for i, s := range spaces {
		args = append(args, s.space())
		parts = append(parts, fmt.Sprintf(`SELECT key, principal FROM (SELECT key, principal FROM identifiers
			WHERE realm = $1 AND space = $%d AND key >= $2 AND (key > $2 OR principal > $3) AND key < $4 ORDER BY key LIMIT $5) AS names%d`, len(args), i))
	}
	return db.All(tx, func(r db.Row) (h hit, err error) { return h, r.Scan(&h.key, &h.principal) },
		strings.Join(parts, ` UNION `)+` ORDER BY key, principal LIMIT $5`, args...)
}

// byIDs reads the principals of hits, with their addresses.
func byIDs(tx *db.Tx, hits []hit) (map[string]*Principal, error) {
	marks, args, found := make([]string, len(hits)), []any{tx.Realm}, map[string]*Principal{}
	for i, h := range hits {
		args = append(args, h.principal)
		marks[i] = fmt.Sprintf("$%d", len(args))
	}
	all, err := db.All(tx, scan, `SELECT `+columns+` FROM principals WHERE realm = $1 AND id IN (`+strings.Join(marks, ", ")+`)`, args...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	for _, p := range all {
		found[p.ID] = p
	}
	return found, fillEmails(tx, all)
}
