package realm

import (
	"errors"

	"github.com/cardea-id/cardea/internal/mail"
)

func checkMailAddress(s string) error {
	if s != "" && mail.CheckAddress(s) != nil {
		return errors.New("must be an address such as help@example.com, without a name")
	}
	return nil
}
