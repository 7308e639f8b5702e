package verify

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// RFC 9470, section 3: who did not sign in well enough or lately is told what
// to ask the issuer for, in so many words.
func TestStepUp(t *testing.T) {
	i, v, _ := ready(t, nil)
	ask := func(need SignedIn, change func(map[string]any)) *httptest.ResponseRecorder {
		handler := v.ProtectSignedIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(FromContext(r.Context()).ACR)) }), need, "read")
		r := httptest.NewRequest("GET", "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+i.token(0, change))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	signedIn := func(acr string, ago time.Duration) func(map[string]any) {
		return func(c map[string]any) { c["acr"], c["auth_time"] = acr, v.c.Now().Add(-ago).Unix() }
	}
	const begins = `Bearer realm="` + api + `", error="insufficient_user_authentication", error_description="sign in again, or in a stronger way"`
	nobody := func(c map[string]any) { delete(c, "acr"); delete(c, "auth_time") }
	for name, c := range map[string]struct {
		need      SignedIn
		change    func(map[string]any)
		challenge string // "" lets through
	}{
		"nothing is needed":     {SignedIn{}, nobody, ""},
		"the level":             {SignedIn{ACR: []string{"aal2"}}, signedIn("aal2", time.Hour), ""},
		"one of the levels":     {SignedIn{ACR: []string{"aal3", "aal2"}}, signedIn("aal2", time.Hour), ""},
		"lately":                {SignedIn{Within: time.Minute}, signedIn("aal1", 59*time.Second), ""},
		"another level":         {SignedIn{ACR: []string{"aal3", "aal2"}}, signedIn("aal1", 0), begins + `, acr_values="aal3 aal2"`},
		"too long ago":          {SignedIn{Within: time.Minute}, signedIn("aal1", 62*time.Second), begins + `, max_age="60"`},
		"neither":               {SignedIn{ACR: []string{"aal2"}, Within: time.Minute}, signedIn("aal1", time.Hour), begins + `, acr_values="aal2", max_age="60"`},
		"level without time":    {SignedIn{ACR: []string{"aal2"}, Within: time.Minute}, func(c map[string]any) { nobody(c); c["acr"] = "aal2" }, begins + `, acr_values="aal2", max_age="60"`},
		"nobody, for the level": {SignedIn{ACR: []string{""}, Within: time.Second}, nobody, begins + `, acr_values="", max_age="1"`},
		"nobody, for the time":  {SignedIn{Within: time.Hour}, nobody, begins + `, max_age="3600"`},
		"a level with quotes":   {SignedIn{ACR: []string{`a"b`, "c"}}, signedIn("aal1", 0), begins + `, acr_values="ab c"`},
	} {
		w := ask(c.need, c.change)
		status := http.StatusUnauthorized
		if c.challenge == "" {
			status = http.StatusOK
		}
		if w.Code != status || w.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d %s", name, w.Code, w.Header())
		}
	}
	if w := ask(SignedIn{ACR: []string{"aal2"}}, func(c map[string]any) { c["scope"] = "" }); w.Code != http.StatusForbidden {
		t.Errorf("too little scope goes first: %d %s", w.Code, w.Header())
	}
	if err := v.SignedIn(&Token{}, SignedIn{ACR: []string{"aal2"}}); !errors.Is(err, ErrAuthentication) {
		t.Errorf("%v", err)
	}
}
