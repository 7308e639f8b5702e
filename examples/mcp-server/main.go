// Command mcp-server is an MCP server that people may use through any MCP
// client: the client finds Cardea by itself, the person agrees, and every call
// brings a token that is for this server alone. README.md tells how to run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		log.Fatal("mcp-server: ", err)
	}
}

// run serves until ctx ends. What it must know comes from the environment.
func run(ctx context.Context, getenv func(string) string) error {
	resource := or(getenv("MCP_RESOURCE"), "http://localhost:8083/mcp")
	u, err := url.Parse(resource)
	if err != nil || u.Host == "" || u.Path == "" {
		return fmt.Errorf("MCP_RESOURCE %q is not the address of this server", resource)
	}
	issuer := or(getenv("CARDEA_ISSUER"), "http://localhost:8080")
	about := describe(issuer, resource)
	v, err := verify.New(ctx, verify.Config{
		Issuer:           issuer,
		Audience:         resource,
		Credentials:      verify.ClientSecret(getenv("MCP_CLIENT_ID"), getenv("MCP_CLIENT_SECRET")),
		ResourceMetadata: about.URL(),
		OnError:          func(err error) { log.Print("revocations: ", err) },
	})
	if err != nil {
		return err
	}
	defer v.Close()
	served, err := newServer(v, about)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", or(getenv("MCP_LISTEN"), "127.0.0.1:8083"))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: served.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	log.Printf("serving %s for people of %s", resource, issuer)
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
