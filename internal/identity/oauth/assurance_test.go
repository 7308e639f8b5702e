package oauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// totp gives somebody an authenticator app, which tells the code of now.
func (d *door) totp(who *principal.Principal) func() string {
	d.Helper()
	draft, err := d.Factors.DraftTOTP(d.realm, who.ID, "SHA1")
	if err != nil {
		d.Fatal(err)
	}
	told, err := d.Factors.ReadTOTP(d.realm, who.ID, draft)
	if err != nil {
		d.Fatal(err)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(told.Secret))
	if err != nil {
		d.Fatal(err)
	}
	code := func() string {
		m := hmac.New(sha1.New, key)
		_ = binary.Write(m, binary.BigEndian, d.Clock.Now().Unix()/30)
		sum := m.Sum(nil)
		o := sum[19] & 15
		return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[o:o+4])&0x7fffffff)%1_000_000)
	}
	if _, right, err := d.Factors.AddTOTP(context.Background(), audit.System, d.realm, who.ID, draft, "", code()); err != nil || !right {
		d.Fatalf("AddTOTP = %v, %v", right, err)
	}
	d.Clock.Advance(time.Minute) // that code is used
	return code
}

// asked reports whether a page asks for a code.
func asked(w *httptest.ResponseRecorder) bool {
	return w.Code == http.StatusOK && strings.Contains(w.Body.String(), `name="code"`) && strings.Contains(w.Body.String(), "/signin/factor")
}

// TestStepUp: RFC 9470, sections 4 to 6, from the API's refusal to a token that
// satisfies it, with nothing asked but what is lacking; and once more when the
// API wants it fresh.
func TestStepUp(t *testing.T) {
	run(t, func(d *door) {
		secret, code := d.app("app"), d.totp(d.ada)
		b := d.signedIn(d.signIn(d.ada))
		plain := d.redeem("app", secret, d.answer(b.open(request("app"))).Get("code"))
		if acr := d.claims(plain.Access)["acr"]; acr != "aal1" {
			d.Fatalf("acr %v before", acr)
		}
		if got := d.answer(b.open(request("app", "acr_values", "aal2", "prompt", "none"))).Get("error"); got != "login_required" {
			d.Errorf("prompt=none: %q", got)
		}
		page := b.open(request("app", "acr_values", "aal2"))
		if !asked(page) {
			d.Fatalf("not asked for the code: %d %s", page.Code, page.Body)
		}
		raised := d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		for _, token := range []string{raised.Access, raised.ID} {
			m := d.claims(token)
			if m["acr"] != "aal2" || fmt.Sprint(m["amr"]) != "[pwd otp mfa]" || m["auth_time"] != d.claims(plain.Access)["auth_time"] {
				d.Errorf("after the step up: %v", m)
			}
		}
		if got := d.answer(b.open(request("app", "acr_values", "aal2", "prompt", "none"))).Get("code"); got == "" {
			d.Error("asked again for what was reached")
		}
		// An aal3 that nobody can reach is a wish that is not met, and an essential one is an error.
		if got := d.answer(b.open(request("app", "acr_values", "gold", "prompt", "none"))).Get("code"); got == "" {
			d.Error("a wish that nobody can meet was refused")
		}
		d.Clock.Advance(10 * time.Minute)
		page = b.open(request("app", "acr_values", "aal2", "max_age", "300"))
		fresh := d.redeem("app", secret, d.answer(b.submit(b.password(page), "code", code())).Get("code"))
		if m := d.claims(fresh.ID); m["acr"] != "aal2" || m["auth_time"] != float64(d.Clock.Now().Unix()) {
			d.Errorf("fresh: %v", m)
		}
	})
}

// Whoever only adds a second factor to an old sign-in has not signed in again,
// whatever led to that page (SE-09).
func TestASecondFactorAloneIsNoNewSignIn(t *testing.T) {
	run(t, func(d *door) {
		secret, code := d.app("app"), d.totp(d.ada)
		b := d.signedIn(d.signIn(d.ada))
		d.Clock.Advance(10 * time.Minute)
		page := b.open(request("app", "prompt", "select_account", "acr_values", "aal2", "max_age", "300"))
		page = b.submit(page, "account", choice(page))
		if !asked(page) {
			d.Fatalf("not asked for the code: %d %s", page.Code, page.Body)
		}
		page = b.submit(page, "code", code())
		if !strings.Contains(page.Body.String(), `name="password"`) {
			d.Fatalf("no new sign-in: %d %v", page.Code, page.Header())
		}
		d.Clock.Advance(time.Minute) // that code is used
		got := d.redeem("app", secret, d.answer(b.submit(b.password(page), "code", code())).Get("code"))
		if m := d.claims(got.ID); m["acr"] != "aal2" || m["auth_time"] != float64(d.Clock.Now().Unix()) {
			d.Errorf("%v", m)
		}
	})
}

// choice is the first account that a page has to choose from.
func choice(w *httptest.ResponseRecorder) string {
	m := regexp.MustCompile(`name="account" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		return ""
	}
	return m[1]
}

// An essential acr that is less than what was reached is told as it was asked
// for (OpenID Connect Core, section 5.5.1.1).
func TestEssentialACRIsTold(t *testing.T) {
	run(t, func(d *door) {
		secret, code := d.app("app"), d.totp(d.ada)
		b := d.browser()
		want := func(level string) string {
			return `{"id_token":{"acr":{"essential":true,"values":["` + level + `"]}}}`
		}
		page := b.password(b.open(request("app", "claims", want("aal2"))))
		got := d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		if acr := d.claims(got.ID)["acr"]; acr != "aal2" {
			d.Errorf("acr %v", acr)
		}
		got = d.redeem("app", secret, d.answer(b.open(request("app", "claims", want("aal1")))).Get("code"))
		if acr := d.claims(got.ID)["acr"]; acr != "aal1" {
			d.Errorf("acr %v, want the one that is essential", acr)
		}
	})
}

// Who has no second factor is led to add one, and may decline what is only
// wished for.
func TestAWishForAssuranceCanBeDeclined(t *testing.T) {
	run(t, func(d *door) {
		secret := d.app("app")
		b := d.signedIn(d.signIn(d.ada))
		page := b.open(request("app", "acr_values", "aal2"))
		if !strings.Contains(page.Body.String(), "/signin/enrol") {
			d.Fatalf("%d %s", page.Code, page.Body)
		}
		got := d.redeem("app", secret, d.answer(b.submit(page, "do", "later")).Get("code"))
		if acr := d.claims(got.ID)["acr"]; acr != "aal1" {
			d.Errorf("acr %v", acr)
		}
		page = b.open(request("app", "claims", `{"id_token":{"acr":{"essential":true,"values":["aal2"]}}}`))
		if strings.Contains(page.Body.String(), "Not now") {
			d.Error("what is essential can be put off")
		}
		if got := d.answer(b.submit(page, "do", "cancel")).Get("error"); got != "access_denied" {
			d.Errorf("turned back: %q", got)
		}
	})
}

// MF-06: path × policy. Every way to a token of a person, under a policy of the
// realm and under one of the client, ends at the same gate: nothing comes out
// below the policy, and it does once the second factor was proved. Take demanded
// out of the checks of assured, or least out of permits, to see rows fail.
func TestEveryPathEndsAtTheGate(t *testing.T) {
	policies := map[string]func(d *door, s *client.Settings){
		"the realm's": func(d *door, _ *client.Settings) { d.set("least_acr", "aal2") },
		"the client's, though the realm excuses everybody": func(d *door, s *client.Settings) {
			d.set("least_acr", "aal2", "enrol_grace", "30d", "remember_device", "30d")
			s.LeastACR = "aal2"
		},
	}
	// Each path gets as far as it can with a session below the policy, and tells
	// which token came out before and after the code was proved.
	paths := map[string]func(d *door, secret string, code func() string) (before, after reply){
		"password": func(d *door, secret string, code func() string) (before, after reply) {
			b := d.browser()
			page := b.password(b.open(request("app")))
			if !asked(page) {
				d.Fatalf("not asked: %d %s", page.Code, page.Body)
			}
			return reply{}, d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		},
		"a session of before": func(d *door, secret string, code func() string) (before, after reply) {
			b := d.signedIn(d.signIn(d.ada))
			if d.answer(b.open(request("app", "prompt", "none"))).Get("code") != "" {
				d.Error("a code for a session below the policy")
			}
			return reply{}, d.redeem("app", secret, d.answer(b.submit(b.open(request("app")), "code", code())).Get("code"))
		},
		"device": func(d *door, secret string, code func() string) (before, after reply) {
			got := d.deviceOf("app", secret)
			b := d.signedIn(d.signIn(d.ada))
			page := b.typed(got.UserCode)
			if !asked(page) {
				d.Fatalf("not asked: %d %s", page.Code, page.Body)
			}
			before = d.token("app", secret, "grant_type", client.DeviceCode, "device_code", got.Code)
			d.Clock.Advance(10 * time.Second)
			b.submit(b.submit(page, "code", code()), "do", "allow")
			return before, d.token("app", secret, "grant_type", client.DeviceCode, "device_code", got.Code)
		},
		"CIBA": func(d *door, secret string, code func() string) (before, after reply) {
			got := d.call("app", secret)
			b := d.signedIn(d.signIn(d.ada))
			page := b.submit(b.approvals(), "do", "allow")
			if !asked(page) {
				d.Fatalf("not asked: %d %s", page.Code, page.Body)
			}
			before = d.fetchCIBA("app", secret, got.ID)
			d.Clock.Advance(10 * time.Second)
			b.submit(b.submit(page, "code", code()), "do", "allow")
			return before, d.fetchCIBA("app", secret, got.ID)
		},
		"a reset link": func(d *door, secret string, code func() string) (before, after reply) {
			b := d.browser()
			b.submit(b.send("GET", "/set-password?link="+d.passwordLink(), ""), "password", "a wholly new pass phrase")
			page := b.open(request("app"))
			if !strings.Contains(page.Body.String(), `name="password"`) {
				d.Fatalf("the link signed in: %d %s", page.Code, page.Body)
			}
			page = b.submit(page, "identifier", "ada@example.com", "password", "a wholly new pass phrase", "do", "signin")
			if !asked(page) {
				d.Fatalf("the link removed the factor: %d %s", page.Code, page.Body)
			}
			return reply{}, d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		},
	}
	for policy, demand := range policies {
		for path, walk := range paths {
			t.Run(path+" under "+policy, func(t *testing.T) {
				run(t, func(d *door) {
					code := d.totp(d.ada)
					secret := d.app("app", everyGrant, func(s *client.Settings) { demand(d, s) })
					before, after := walk(d, secret, code)
					if before.Access != "" {
						d.Errorf("a token below the policy: %+v", before)
					}
					if after.Access == "" || d.claims(after.Access)["acr"] != "aal2" {
						d.Errorf("after the code: %+v", after)
					}
				})
			})
		}
	}
	// What was given out before the policy came: it holds from now on.
	for policy, demand := range policies {
		t.Run("code, refresh and exchange under "+policy, func(t *testing.T) {
			run(t, func(d *door) {
				api := d.app("api", service(first))
				secret := d.app("app", everyGrant)
				cookie := d.signIn(d.ada)
				code := d.code(cookie, request("app"))
				old := d.tokens(cookie, "app", secret, "scope", "openid offline_access orders:read")
				for _, id := range []string{"app", "api"} {
					if err := d.change(id, func(s *client.Settings) { demand(d, s) }); err != nil {
						d.Fatal(err)
					}
				}
				for name, got := range map[string]reply{
					"code":     d.redeem("app", secret, code),
					"refresh":  d.token("app", secret, "grant_type", "refresh_token", "refresh_token", old.Refresh),
					"exchange": d.exchange("api", api, old.Access, "audience", second),
				} {
					if got.Access != "" || got.Status < 400 || got.Status >= 500 {
						d.Errorf("%s: %+v", name, got)
					}
				}
			})
		})
	}
}

// TestNewcomersEndAtTheGate: MF-06. Who was invited or registered has chosen a
// password and has nothing else, and gets no further than to the factor that is
// demanded.
func TestNewcomersEndAtTheGate(t *testing.T) {
	const password = "a wholly new pass phrase"
	policies := map[string]func(d *door, s *client.Settings){
		"the realm's": func(d *door, _ *client.Settings) { d.set("least_acr", "aal2") },
		"the client's": func(d *door, s *client.Settings) {
			d.set("least_acr", "aal2", "enrol_grace", "30d", "remember_device", "30d")
			s.LeastACR = "aal2"
		},
	}
	paths := map[string]func(d *door) (page string){
		"invitation": func(d *door) string {
			_, link, err := d.Desk.Invite(context.Background(), audit.System, d.realm, life.NewInvitation{Address: "new@example.com", Link: true})
			if err != nil {
				d.Fatal(err)
			}
			return "/invitation?link=" + string(link)
		},
		"registration": func(d *door) string {
			d.set("self_registration", "on")
			r, err := d.Realms.ByName(context.Background(), d.realm)
			if err == nil {
				err = d.Desk.Register(context.Background(), audit.System, r, "new@example.com", "en", "")
			}
			if err != nil {
				d.Fatal(err)
			}
			return regexp.MustCompile(`/register/finish\?link=\S+`).FindString(d.Letter(d.T, "new@example.com").Text)
		},
	}
	for policy, demand := range policies {
		for path, begin := range paths {
			t.Run(path+" under "+policy, func(t *testing.T) {
				run(t, func(d *door) {
					d.app("app", func(s *client.Settings) { demand(d, s) })
					b := d.browser()
					page := b.submit(b.send("GET", begin(d), ""), "name", "New", "password", password)
					if !strings.Contains(page.Body.String(), `name="identifier"`) {
						d.Fatalf("signed in by the link: %d %s", page.Code, page.Body)
					}
					page = b.submit(b.open(request("app")), "identifier", "new@example.com", "password", password, "do", "signin")
					if !strings.Contains(page.Body.String(), "/signin/enrol") || strings.Contains(page.Body.String(), "Not now") {
						d.Fatalf("past the gate: %d %s", page.Code, page.Body)
					}
					if got := d.answer(b.open(request("app", "prompt", "none"))); got.Get("code") != "" || got.Get("error") != "login_required" {
						d.Errorf("below the policy: %v", got)
					}
				})
			})
		}
	}
}

// everyGrant lets the client come by every path.
func everyGrant(s *client.Settings) {
	s.GrantTypes = append(s.GrantTypes, client.DeviceCode, client.CIBA)
	s.DeliveryMode = client.Poll
}

// deviceOf has a client with a secret ask for a user code.
func (d *door) deviceOf(id, secret string) (got waiting) {
	d.Helper()
	w := d.do("POST", "/oauth2/device_authorization", "scope=openid", "Authorization", "Basic "+basicOf(id, secret))
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.UserCode == "" {
		d.Fatalf("%d %s", w.Code, w.Body)
	}
	return got
}

func (d *door) passwordLink() string {
	d.Helper()
	link, _, err := d.Desk.PasswordLink(context.Background(), audit.System, d.realm, d.ada.ID)
	if err != nil {
		d.Fatal(err)
	}
	return string(link)
}

// assurance_life: what was proved long ago is neither told as if it counted, nor
// does it meet a wish or a demand. Tell the session's level to see it fail.
func TestAProofThatGrewOldIsAskedForAgain(t *testing.T) {
	run(t, func(d *door) {
		d.set("assurance_life", "1h")
		secret, code := d.app("app"), d.totp(d.ada)
		b := d.browser()
		page := b.password(b.open(request("app", "acr_values", "aal2")))
		got := d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		if acr := d.claims(got.ID)["acr"]; acr != "aal2" {
			d.Fatalf("acr %v", acr)
		}
		d.Clock.Advance(2 * time.Hour)
		got = d.redeem("app", secret, d.answer(b.open(request("app"))).Get("code"))
		if m := d.claims(got.ID); m["acr"] != "aal1" || fmt.Sprint(m["amr"]) != "[pwd]" {
			d.Errorf("acr %v, amr %v hours later", m["acr"], m["amr"])
		}
		for _, ask := range [][]string{{"acr_values", "aal2"}, {"claims", `{"id_token":{"acr":{"essential":true,"values":["aal2"]}}}`}} {
			if got := d.answer(b.open(request("app", append(ask, "prompt", "none")...))).Get("error"); got != "login_required" {
				d.Errorf("%s: %q", ask[0], got)
			}
		}
		page = b.open(request("app", "acr_values", "aal2"))
		if !asked(page) {
			d.Fatalf("not asked: %d", page.Code)
		}
		got = d.redeem("app", secret, d.answer(b.submit(page, "code", code())).Get("code"))
		if acr := d.claims(got.ID)["acr"]; acr != "aal2" {
			d.Errorf("acr %v", acr)
		}
	})
}
