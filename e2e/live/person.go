package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// NewPerson makes a person with an address and lets them choose a password, as
// people do: through the link that an operator hands out.
func (s *Server) NewPerson(ctx context.Context, email, password string) error {
	user, err := patiently(func() (api.User, error) {
		return s.Admin.Users.Create(ctx, api.UserCreate{
			DisplayName: "Person " + email, Emails: []api.Email{{Address: email, Verified: true, Primary: true}},
		})
	})
	if err != nil {
		return fmt.Errorf("person %s: %w", email, err)
	}
	link, err := patiently(func() (api.SecretLink, error) { return s.Admin.Users.PasswordLink(ctx, user.ID) })
	if err != nil {
		return fmt.Errorf("person %s: %w", email, err)
	}
	b := NewBrowser()
	page, err := b.Open(ctx, link.URL)
	if err != nil {
		return err
	}
	if page, err = b.Submit(ctx, page, map[string]string{"password": password}); err != nil {
		return err
	}
	if page.Status != 200 {
		return fmt.Errorf("the password of %s was not taken: %d\n%.2000s", email, page.Status, page.Text)
	}
	return nil
}

// patiently asks again whenever it is told to wait.
func patiently[T any](ask func() (T, error)) (T, error) {
	for {
		v, err := ask()
		var wait *client.Problem
		if !errors.As(err, &wait) || wait.RetryAfter == 0 {
			return v, err
		}
		<-time.After(wait.RetryAfter)
	}
}
