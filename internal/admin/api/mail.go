package api

import (
	"context"

	wire "github.com/cardea-id/cardea/api"
)

type testMailInput struct{ Body wire.MailTest }

func (s *Server) testMail(ctx context.Context, c *Caller, in *testMailInput) (*plainAnswer[wire.Job], error) {
	return s.jobShown(s.Letters.Test(ctx, c.By, c.Realm.Name, in.Body.To))
}
