package version

import (
	"context"
	"fmt"

	"github.com/cardea-id/cardea/internal/access/git"
)

// readRepository reads a branch, unless it is at the commit that is known.
func (r *Registry) readRepository(ctx context.Context, realm string, s *Source, known string) (*found, error) {
	from := &git.Repository{Exchange: r.Exchange, URL: s.Location, Username: s.Username}
	if s.HasPassword() {
		plain, err := r.Box.Open(s.sealed, place(realm, s.Location)...)
		if err != nil {
			return nil, fmt.Errorf("the password cannot be read (set it again): %w", err)
		}
		from.Password = string(plain)
	}
	commit, err := from.Head(ctx, s.Branch)
	if err != nil || commit == known {
		return &found{seen: commit}, err
	}
	f := &found{seen: commit, origin: s.Location + " " + commit}
	if f.files, f.problems, err = from.Files(ctx, commit, s.Folder); err != nil {
		return nil, err
	}
	if len(f.files) == 0 && len(f.problems) == 0 {
		return nil, fmt.Errorf("there is no policy folder in commit %s", commit)
	}
	return f, nil
}
