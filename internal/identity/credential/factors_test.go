package credential_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/secret"
)

func (e env) factors(t *testing.T) *credential.Factors {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return credential.NewFactors(e.DB, e.Log, e.realms, box)
}

// app is an authenticator, written apart from the code under test.
type app struct{ key []byte }

func (a app) code(at time.Time) string {
	m := hmac.New(sha1.New, a.key)
	_ = binary.Write(m, binary.BigEndian, at.Unix()/30)
	sum := m.Sum(nil)
	o := sum[19] & 15
	n := uint32(sum[o]&127)<<24 | uint32(sum[o+1])<<16 | uint32(sum[o+2])<<8 | uint32(sum[o+3])
	return fmt.Sprintf("%06d", n%1_000_000)
}

// addApp adds an authenticator to an account. The code of now is used by that.
func (e env) addApp(t *testing.T, f *credential.Factors, who string) (app, credential.Credential) {
	t.Helper()
	draft, err := f.DraftTOTP(dbtest.Realm, who, "SHA1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := f.ReadTOTP(dbtest.Realm, who, draft)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(key.Secret))
	if err != nil || len(raw) != 20 {
		t.Fatalf("secret of %d bytes: %v", len(raw), err)
	}
	a := app{raw}
	c, right, err := f.AddTOTP(t.Context(), audittest.By, dbtest.Realm, who, draft, "Phone", a.code(e.Clock.Now()))
	if err != nil || !right {
		t.Fatalf("AddTOTP = %v, %v", right, err)
	}
	return a, c
}

// try guesses a code.
func (e env) try(t *testing.T, f *credential.Factors, who, code, browser string) credential.Outcome {
	t.Helper()
	for {
		r, err := f.Guess(t.Context(), audittest.By, dbtest.Realm, who, "totp", browser, func() (bool, error) {
			_, right, err := f.CheckTOTP(t.Context(), dbtest.Realm, who, code)
			return right, err
		})
		if err == nil {
			return r.Outcome
		}
		if !fault.Is(err, fault.Unavailable) || t.Context().Err() != nil {
			t.Errorf("Guess = %v", err)
			return credential.Wrong
		}
		<-time.After(10 * time.Millisecond)
	}
}

// MF-01: once, on all nodes, after a restart, and however it is written. Drop the
// comparison with the counter from advance to see it fail.
func TestATimeBasedCodeIsAcceptedOnce(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		here, there := e.factors(t), newEnv(t, e.Node(t)).factors(t)
		phone, _ := e.addApp(t, here, ada)
		if got := e.try(t, there, ada, phone.code(e.Clock.Now()), ""); got != credential.Wrong {
			t.Errorf("the code that added the app opened: %v", got)
		}
		e.Clock.Advance(30 * time.Second)
		code := phone.code(e.Clock.Now())
		if got := e.try(t, here, ada, code[:3]+" "+code[3:], ""); got != credential.Right {
			t.Fatalf("the right code: %v", got)
		}
		wide := strings.Map(func(c rune) rune { return c - '0' + '０' }, code)
		for _, again := range []string{code, " " + code, code[:3] + "-" + code[3:], wide} {
			if got := e.try(t, e.factors(t), ada, again, ""); got != credential.Wrong {
				t.Errorf("%q once more: %v", again, got)
			}
		}
		// The code before it is of an earlier step, and as dead.
		if got := e.try(t, there, ada, phone.code(e.Clock.Now().Add(-30*time.Second)), ""); got != credential.Wrong {
			t.Errorf("an older code: %v", got)
		}
		e.Clock.Advance(30 * time.Second)
		if got := e.try(t, there, ada, phone.code(e.Clock.Now()), ""); got != credential.Right {
			t.Errorf("the next code: %v", got)
		}
	})
}

// MF-01 under fire: of many who bring the same right code at once, one gets in.
func TestOfManyWithTheSameCodeOneGetsIn(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		nodes := []*credential.Factors{e.factors(t), newEnv(t, e.Node(t)).factors(t)}
		phone, _ := e.addApp(t, nodes[0], ada)
		e.Clock.Advance(time.Minute)
		code := phone.code(e.Clock.Now())
		var in atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if e.try(t, nodes[i%2], ada, code, "") == credential.Right {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Errorf("%d got in by one code", in.Load())
		}
	})
}

// MF-01: a page that is sent twice adds one app. Two with the same secret would
// take each code twice. Drop the look at the others from AddTOTP to see it fail.
func TestAnAppIsAddedOnce(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		nodes := []*credential.Factors{e.factors(t), e.factors(t)}
		draft, _ := nodes[0].DraftTOTP(dbtest.Realm, ada, "SHA1")
		key, _ := nodes[0].ReadTOTP(dbtest.Realm, ada, draft)
		raw, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(key.Secret))
		phone := app{raw}
		var added atomic.Int32
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					_, right, err := nodes[i%2].AddTOTP(t.Context(), audittest.By, dbtest.Realm, ada, draft, "", phone.code(e.Clock.Now()))
					switch {
					case right && err == nil:
						added.Add(1)
					case fault.Is(err, fault.Unavailable):
						continue
					case fault.Code(err) != "app_added":
						t.Errorf("AddTOTP = %v, %v", right, err)
					}
					return
				}
			})
		}
		wg.Wait()
		e.Clock.Advance(time.Minute)
		code := phone.code(e.Clock.Now())
		in := 0
		for range 3 {
			if e.try(t, nodes[0], ada, code, "") == credential.Right {
				in++
			}
		}
		if added.Load() != 1 || in != 1 {
			t.Errorf("added %d times, one code opened %d times", added.Load(), in)
		}
	})
}

// Whatever changes somebody's factors has every browser asked again: a passkey,
// too.
func TestEveryNewFactorEndsWhatBrowsersAreExcusedFrom(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, mark := e.person(t, "ada"), string(credential.NewBrowser())
		f := e.factors(t)
		for kind, add := range map[string]func(){
			"totp":    func() { e.addApp(t, f, ada) },
			"passkey": func() { e.passkey(t, pk.New(site), ada) },
		} {
			err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				if err := credential.RememberTx(tx, ada, mark); err != nil {
					return err
				}
				return credential.RememberDeviceTx(tx, ada, mark, tx.Now.Add(time.Hour))
			})
			if err != nil {
				t.Fatal(err)
			}
			if yes, err := f.Remembered(t.Context(), dbtest.Realm, ada, mark); err != nil || !yes {
				t.Fatalf("not remembered: %v", err)
			}
			e.Clock.Advance(time.Minute)
			add()
			if yes, err := f.Remembered(t.Context(), dbtest.Realm, ada, mark); err != nil || yes {
				t.Errorf("%s: the browser is excused from it (%v)", kind, err)
			}
		}
	})
}

// What was demanded of somebody stays demanded since then, whatever factors come
// and go; more than that is a demand of its own. Of many who notice it at once all
// are told the same.
func TestALevelIsDemandedSinceTheFirstTime(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, f := e.person(t, "ada"), e.factors(t)
		demand := func(acr string) time.Time {
			var told [4]time.Time
			var wg sync.WaitGroup
			for i := range told {
				wg.Go(func() {
					var err error
					if told[i], err = f.Demand(t.Context(), dbtest.Realm, ada, acr); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for _, one := range told {
				if !one.Equal(told[0]) {
					t.Errorf("%s is demanded since %v and %v", acr, told[0], one)
				}
			}
			e.Clock.Advance(time.Hour)
			return told[0]
		}
		first := demand("aal2")
		e.addApp(t, f, ada)
		e.passkey(t, pk.New(site), ada)
		if again := demand("aal2"); !again.Equal(first) {
			t.Errorf("demanded since %v, then since %v", first, again)
		}
		more := demand("aal3")
		if !more.After(first) {
			t.Errorf("more is demanded since %v", more)
		}
		for _, acr := range []string{"aal2", "aal3"} {
			if again := demand(acr); !again.Equal(more) {
				t.Errorf("%s is demanded since %v, was %v", acr, again, more)
			}
		}
	})
}

// A demand from before levels were noted, or by a node that knows none, is one for
// every level: neither gives time anew.
func TestADemandFromBeforeLevelsGivesNoTimeAnew(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, f := e.person(t, "ada"), e.factors(t)
		before := e.Clock.Now().Add(-60 * 24 * time.Hour).Truncate(time.Millisecond)
		err := e.DB.UpdateRC(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO factor_demands (realm, principal, since) VALUES ($1, $2, $3)`, tx.Realm, ada, db.At(before))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, acr := range []string{"aal2", "aal3", "aal2"} {
			if since, err := f.Demand(t.Context(), dbtest.Realm, ada, acr); err != nil || !since.Equal(before) {
				t.Errorf("%s is demanded since %v (%v), was since %v", acr, since, err, before)
			}
		}
	})
}

// P-08 and MF-03: of a hundred guesses at once on two nodes ten are evaluated,
// and the right code among those beyond them does not open. Reserve after check
// in Guess to see it fail.
func TestExactlyTenSecondFactorsAreEvaluated(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		nodes := []*credential.Factors{e.factors(t), newEnv(t, e.Node(t)).factors(t)}
		phone, _ := e.addApp(t, nodes[0], ada)
		mark := string(credential.NewBrowser())
		if _, err := e.passwords.Remember(t.Context(), dbtest.Realm, ada, mark); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Minute)
		planted := phone.code(e.Clock.Now())
		var evaluated, limited atomic.Int32
		volley := func(guess func(i int) string) {
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					switch e.try(t, nodes[i%2], ada, guess(i), "") {
					case credential.Wrong:
						evaluated.Add(1)
					case credential.Limited:
						limited.Add(1)
					default:
						t.Error("a guess opened")
					}
				})
			}
			wg.Wait()
		}
		volley(func(i int) string {
			if code := fmt.Sprintf("%06d", i); code != planted {
				return code
			}
			return "999999"
		})
		if evaluated.Load() != 10 || limited.Load() != 90 {
			t.Errorf("%d evaluated and %d limited, want 10 and 90", evaluated.Load(), limited.Load())
		}
		volley(func(int) string { return planted }) // past the limit, on nodes new and old
		if evaluated.Load() != 10 {
			t.Errorf("%d evaluated after the limit", evaluated.Load()-10)
		}
		nodes = []*credential.Factors{e.factors(t), e.factors(t)} // as after a restart
		volley(func(int) string { return planted })
		if evaluated.Load() != 10 {
			t.Errorf("%d evaluated after a restart", evaluated.Load()-10)
		}
		e.expect(t, "the password has a count of its own", credential.Attempt{Identifier: "ada", Password: right}, credential.Right)
		if got := e.try(t, nodes[0], ada, planted, mark); got != credential.Right {
			t.Errorf("from the owner's browser: %v", got)
		}
		e.Clock.Advance(15*time.Minute + time.Millisecond)
		if got := e.try(t, nodes[1], ada, phone.code(e.Clock.Now()), ""); got != credential.Right {
			t.Errorf("after the window: %v", got)
		}
	})
}

func TestTheSecretOfAnAppIsKeptSealed(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, eve := e.person(t, "ada"), e.person(t, "eve")
		f := e.factors(t)
		phone, c := e.addApp(t, f, ada)
		data := e.stored(t, c.ID)
		plain := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(phone.key)
		if strings.Contains(data, plain) || strings.Contains(data, string(phone.key)) {
			t.Errorf("kept in the clear: %s", data)
		}
		draft, err := f.DraftTOTP(dbtest.Realm, ada, "SHA256")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadTOTP(dbtest.Realm, eve, draft); err == nil {
			t.Error("somebody else's draft opens")
		}
		if _, err := f.ReadTOTP(dbtest.Neighbour, ada, draft); err == nil {
			t.Error("a draft opens in another realm")
		}
	})
}

func TestAPersonHasAtMostFiveApps(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		f := e.factors(t)
		for range 5 {
			e.addApp(t, f, ada)
		}
		draft, _ := f.DraftTOTP(dbtest.Realm, ada, "SHA1")
		key, _ := f.ReadTOTP(dbtest.Realm, ada, draft)
		raw, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(key.Secret))
		if _, _, err := f.AddTOTP(t.Context(), audittest.By, dbtest.Realm, ada, draft, "", (app{raw}).code(e.Clock.Now())); !fault.Is(err, fault.Conflict) {
			t.Errorf("a sixth app: %v", err)
		}
	})
}

// MF-08. Leave the code in the list in CheckRecovery to see it fail.
func TestRecoveryCodesAreUsedOnce(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		nodes := []*credential.Factors{e.factors(t), newEnv(t, e.Node(t)).factors(t)}
		c, codes, err := nodes[0].NewRecovery(t.Context(), audittest.By, dbtest.Realm, ada)
		if err != nil || len(codes) != 10 {
			t.Fatalf("%d codes, %v", len(codes), err)
		}
		data := e.stored(t, c.ID)
		for _, code := range codes {
			if plain := strings.ReplaceAll(string(code), "-", ""); len(plain)*5 < 64 || strings.Contains(data, plain) || strings.Contains(data, string(code)) {
				t.Errorf("a code of %d bits, kept as %s", len(plain)*5, data)
			}
		}
		use := func(i int, code string) (int, bool) {
			_, left, right, err := nodes[i%2].CheckRecovery(t.Context(), audittest.By, dbtest.Realm, ada, code)
			if err != nil {
				t.Errorf("CheckRecovery = %v", err)
			}
			return left, right
		}
		var in atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, right := use(i, string(codes[3])); right {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Errorf("%d got in by one code", in.Load())
		}
		if left, right := use(0, " "+strings.ToUpper(strings.ReplaceAll(string(codes[5]), "-", " "))); !right || left != 8 {
			t.Errorf("as people type it: %v, %d left", right, left)
		}
		for _, bad := range []string{string(codes[3]), string(codes[5]), "", "-", "0000-0000-0000-0000", string(codes[0])[1:]} {
			if _, right := use(1, bad); right {
				t.Errorf("%q opened", bad)
			}
		}
		if _, _, err := nodes[0].NewRecovery(t.Context(), audittest.By, dbtest.Realm, ada); err != nil {
			t.Fatal(err)
		}
		if _, right := use(0, string(codes[0])); right {
			t.Error("a code of the old set opened")
		}
	})
}
