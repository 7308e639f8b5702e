package oauth

import (
	"reflect"
	"testing"
)

// TestTable: no step is on no endpoint, and what no request may do without is on
// all of them, also on those that come later.
func TestTable(t *testing.T) {
	pointer := func(s step) uintptr { return reflect.ValueOf(s).Pointer() }
	has := func(at endpoint, s step) bool {
		for _, r := range table {
			if r.at&at != 0 && pointer(r.step) == pointer(s) {
				return true
			}
		}
		return false
	}
	for i, r := range table {
		if r.at == 0 || r.at&^everywhere != 0 {
			t.Errorf("row %d is for the endpoints %b of %b", i, r.at, everywhere)
		}
	}
	for at := endpoint(1); at <= everywhere; at <<= 1 {
		for name, s := range map[string]step{"client": checkClient, "profile": checkProfile, "signature": checkSigned, "scope": checkScope, "details": checkDetails, "resource": checkResource} {
			if !has(at, s) {
				t.Errorf("endpoint %b does not check the %s", at, name)
			}
		}
		if redirecting&at == 0 {
			continue
		}
		for name, s := range map[string]step{"redirect URI": checkRedirectURI, "PKCE": checkPKCE, "response type": checkResponseType, "response mode": checkResponseMode} {
			if !has(at, s) {
				t.Errorf("endpoint %b does not check the %s", at, name)
			}
		}
	}
	if !has(atAuthorize, checkPushed) || !has(atPAR, refuseReference) || !has(atCIBA, checkHints) || !has(atCIBA, openSignedBackchannel) || !has(atDevice, refuseObject) {
		t.Error("requests that must be pushed, or say who is asked, are not held to it")
	}
}
