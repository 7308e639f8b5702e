package signin

import (
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web/look"
	"github.com/cardea-id/cardea/internal/web/look/looktest"
)

// Whatever stands on a page is escaped as html/template escapes it.
func TestPagesAreAsHTMLTemplateWritesThem(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	assets, err := look.Assets()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Words: words, Assets: assets, FormKey: make([]byte, 16)})
	if err != nil {
		t.Fatal(err)
	}
	looktest.Check(t, s.look, words, map[string]func() any{
		"accounts":           func() any { return accountsPage{} },
		"approvals":          func() any { return approvalsPage{} },
		"confirm":            func() any { return confirmPage{} },
		"confirmed":          func() any { return confirmPage{} },
		"consent":            func() any { return consentPage{} },
		"data":               func() any { return dataPage{} },
		"decided":            func() any { return decidedPage{} },
		"device":             func() any { return devicePage{} },
		"email":              func() any { return emailPage{} },
		"error":              func() any { return errorPage{} },
		"farewell":           func() any { return outstandingPage{} },
		"handover":           func() any { return handoverPage{} },
		"keep":               func() any { return outstandingPage{} },
		"leaving":            func() any { return leavingPage{} },
		"letter":             func() any { return letterPage{} },
		"link":               func() any { return linkPage{} },
		"mailcode":           func() any { return mailPage{} },
		"mailcode_elsewhere": func() any { return mailPage{} },
		"mailed":             func() any { return mailedPage{} },
		"newcomer":           func() any { return newcomerPage{} },
		"onward":             func() any { return onwardPage{} },
		"passkey":            func() any { return passkeyPage{} },
		"passkey_enrol":      func() any { return passkeyPage{} },
		"recovery":           func() any { return factorPage{} },
		"recovery_codes":     func() any { return recoveryPage{} },
		"recovery_enrol":     func() any { return recoveryPage{} },
		"renew":              func() any { return renewPage{} },
		"setup":              func() any { return setupPage{} },
		"signedout":          func() any { return signedOutPage{} },
		"signin":             func() any { return signInPage{} },
		"signout":            func() any { return signOutPage{} },
		"stuck":              func() any { return stuckPage{} },
		"terms":              func() any { return outstandingPage{} },
		"totp":               func() any { return factorPage{} },
		"totp_enrol":         func() any { return totpEnrolPage{} },
		"undo":               func() any { return undoPage{} },
	})
}
