package signin

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/web/look"
)

// BenchmarkSignInPage shows the page that begins a sign-in, to a browser that
// was here before: alone, and with all that a request for it takes.
func BenchmarkSignInPage(b *testing.B) {
	w := newWorld(b, audittest.New(b, dbtest.Open(b, db.SQLite)))
	r := httptest.NewRequest("GET", "https://id.example.com/realms/"+dbtest.Realm+"/signin", nil)
	r.Header.Set("Accept-Language", "en-GB,en;q=0.9")
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		b.Fatalf("%d: %s", rec.Code, rec.Body)
	}
	r.Header.Del("Cookie") // which the door noted for itself
	for _, c := range rec.Result().Cookies() {
		r.AddCookie(c)
	}
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rec := httptest.NewRecorder()
			if w.handler.ServeHTTP(rec, r); rec.Code != http.StatusOK {
				b.Fatalf("%d: %s", rec.Code, rec.Body)
			}
		}
	})
	p := signInPage{words: words{w.look.Page(httptest.NewRecorder(), r, look.Site{Name: "Acme", Path: "/realms/acme"}, "", "")},
		Form: "rkMUq8ykbmNCjJeiS5S_Jwgy3BvTcGxYHrFIZmqEUmQ", Forgot: true, Register: true, Mail: true,
		Passkey: &askPasskey{Options: `{"challenge":"AAABnEnuyADmN6Y3vPOa2Ue7","timeout":300000,"rpId":"id.example.com","allowCredentials":[],"userVerification":"required"}`,
			Form: "rkMUq8ykbmNCjJeiS5S_Jwgy3BvTcGxYHrFIZmqEUmQ", Again: "/realms/acme/signin"}}
	p.Title = p.T("signin.title")
	b.Run("render", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := w.look.Render(httptest.NewRecorder(), http.StatusOK, "signin", p); err != nil {
				b.Fatal(err)
			}
		}
	})
}
