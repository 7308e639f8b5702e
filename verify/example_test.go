package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/cardea-id/cardea/verify"
)

// An API that takes tokens with the scope orders:read, and refuses a revoked
// one within milliseconds.
func Example() {
	ctx := context.Background()
	v, err := verify.New(ctx, verify.Config{
		Issuer:      "https://id.example.com",
		Audience:    "https://api.example.com",
		Credentials: verify.ClientSecret("cli_01k9xq4c3m8v5t2r7n0p6w1z4y", os.Getenv("CARDEA_SECRET")),
		OnError:     func(err error) { log.Print(err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()

	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the orders of %s\n", verify.FromContext(r.Context()).Subject)
	})
	http.Handle("GET /orders", v.Protect(orders, "orders:read"))
	log.Fatal(http.ListenAndServe("localhost:8000", nil))
}

// Outside of HTTP: what to do with each kind of error.
func ExampleVerifier_Verify() {
	check := func(ctx context.Context, v *verify.Verifier, token string) string {
		t, err := v.Verify(ctx, token)
		switch {
		case errors.Is(err, verify.ErrStale):
			return "try again in a moment"
		case errors.Is(err, verify.ErrExpired):
			return "refresh the token"
		case errors.Is(err, verify.ErrRevoked):
			return "sign in again"
		case err != nil:
			return "go away"
		}
		return "hello " + t.Subject
	}
	_ = check
}

// An API that would rather be slow to notice than silent: without credentials
// it asks for the public status lists, at most every half minute.
func ExampleMode() {
	v, err := verify.New(context.Background(), verify.Config{
		Issuer:   "https://id.example.com",
		Audience: "https://api.example.com",
		Mode:     verify.Poll,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := v.Wait(ctx); err != nil {
		log.Print("starting without the issuer: ", err)
	}
}

func ExampleProtectedResourceMetadata() {
	tools := verify.Metadata{
		Resource:             "https://tools.example.com/mcp",
		AuthorizationServers: []string{"https://id.example.com"},
		Scopes:               []string{"tools:read", "tools:call"},
		Name:                 "Tools",
	}
	handler, err := verify.ProtectedResourceMetadata(tools)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(tools.Path(), handler)

	// Refusals lead there when the verifier's Config has ResourceMetadata: tools.URL().
	fmt.Println(tools.Path())
	fmt.Println(tools.URL())
	// Output:
	// /.well-known/oauth-protected-resource/mcp
	// https://tools.example.com/.well-known/oauth-protected-resource/mcp
}
