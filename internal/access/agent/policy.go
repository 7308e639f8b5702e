package agent

import (
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/jose"
)

// The places in an agent's documents that are ours, and the kinds of bundles that
// signatures tell apart.
const (
	rootRules = folder.Reserved + "/rules"
	rootRoles = folder.Reserved + "/roles"
	rootTypes = folder.Reserved + "/types"
	rootFacts = folder.Reserved + "/facts"

	ScopePolicy    = "policy"
	ScopeDiscovery = "discovery"
)

//go:embed rego/rules.rego
var rules []byte

// roleFacts is what an agent is told of a role.
type roleFacts struct {
	Implies     []string `json:"implies"`
	Permissions []string `json:"permissions"`
}

// policyFiles are the files of a policy bundle: the Rego of the realm's folder, our
// own rules, and the roles.
func policyFiles(number int64, files folder.Files, roles policy.Roles, types map[string]string) ([]file, error) {
	data, err := json.Marshal(map[string]any{folder.Reserved: map[string]any{"roles": rolesTold(roles), "types": types}})
	if err != nil {
		return nil, err
	}
	roots := []string{rootRules, rootRoles, rootTypes}
	all := []file{{dataFile, data}, {rootRules + "/rules.rego", rules}}
	for _, f := range Rego(files) {
		if pkg, _, ok := folder.RegoPackage(f.Text); ok {
			roots = append(roots, strings.Join(pkg, "/"))
		}
		all = append(all, file{f.Path, f.Text})
	}
	m, err := manifestOf(manifest{Revision: strconv.FormatInt(number, 10), Roots: outermost(roots)})
	return append(all, m), err
}

// rolesTold are the roles by type and name.
func rolesTold(roles policy.Roles) map[string]map[string]roleFacts {
	told := map[string]map[string]roleFacts{}
	for _, t := range roles.Types {
		told[t.Type] = map[string]roleFacts{}
		for _, r := range t.Roles {
			told[t.Type][r.Name] = roleFacts{append([]string{}, r.Implies...), append([]string{}, r.Permissions...)}
		}
	}
	return told
}

// Rego are the files of a folder that are for agents.
func Rego(files folder.Files) folder.Files {
	return slices.DeleteFunc(slices.Clone(files), func(f folder.File) bool { return !strings.HasSuffix(f.Path, ".rego") })
}

// outermost leaves out roots that are inside of others: a manifest may not have both.
func outermost(roots []string) (out []string) {
	slices.SortFunc(roots, func(a, b string) int { return strings.Compare(a+"/", b+"/") })
	for _, r := range slices.Compact(roots) {
		if n := len(out); n == 0 || !strings.HasPrefix(r+"/", out[n-1]+"/") {
			out = append(out, r)
		}
	}
	return out
}

// seal makes a signed bundle of files. Its tag does not depend on the signature,
// which differs each time.
func seal(prefix string, key *jose.Key, issuer, scope string, files []file) (*Bundle, error) {
	b := &Bundle{Tag: tagOf(prefix, files, key.ID, issuer)}
	all, err := signed(key, issuer, scope, files)
	if err != nil {
		return nil, err
	}
	b.Body, err = pack(all, gzip.DefaultCompression)
	return b, err
}
