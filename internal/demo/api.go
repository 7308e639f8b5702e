package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea/verify"
)

// api is the protected API: it tells the time to whoever brings a good token,
// and knows by itself, without asking anybody, when one stops to be good.
type api struct{ verifier *verify.Verifier }

func newAPI(ctx context.Context, c Config, running *sync.WaitGroup) (http.Handler, error) {
	v, err := verify.New(ctx, verify.Config{
		Issuer:      c.Issuer,
		Audience:    c.APIURL,
		Credentials: verify.ClientSecret(c.APIClientID, c.APIClientSecret),
		OnError:     func(err error) { c.Log.Debug("demo API", "error", err) },
		// Every call checks the signature again, so that the page shows what a
		// check costs rather than what a memory does.
		CacheTokens: -1,
	})
	if err != nil {
		return nil, err
	}
	running.Go(func() {
		<-ctx.Done()
		v.Close()
	})
	a := &api{v}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /clock", a.clock)
	mux.HandleFunc("GET /{$}", a.about)
	return mux, nil
}

// clock answers with the time and with what the token says about the caller.
func (a *api) clock(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	token, err := a.verifier.Request(r, Scope)
	took := time.Since(began)
	if err != nil {
		a.verifier.Challenge(w, err, Scope)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"time": time.Now().UTC(), "subject": token.Subject, "client": token.ClientID,
		"expires": token.Expires, "checked_in_us": max(1, took.Microseconds()),
	})
}

// about tells people who open the API in a browser what it is.
func (a *api) about(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "The demo API. GET /clock with an access token that has the scope %s.\n", Scope)
}
