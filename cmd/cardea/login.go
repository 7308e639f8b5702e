package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/client"
)

func (c *console) loginCommand() *cobra.Command {
	var noBrowser, device bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "login [ISSUER]",
		Short: "Sign in through the browser",
		Long: `Opens this device's browser, lets you sign in there, and keeps the resulting
tokens in a file that only you can read. The commands that administer a realm then
use them, and renew them as needed.

Where the browser is on another machine than the command line, such as over ssh,
give --device and confirm a code there.

For automation give a token in CARDEA_TOKEN instead.`,
		Example: "  cardea login https://id.example.com\n  cardea login http://localhost:8080 --no-browser\n  cardea login --device https://id.example.com",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := c.tokens()
			if err != nil {
				return err
			}
			issuer := firstOf(append(args, c.getenv("CARDEA_ISSUER"), store.Current)...)
			if issuer == "" {
				return errors.New("which server? give its issuer URL: cardea login https://id.example.com")
			}
			issuer = strings.TrimSuffix(issuer, "/")
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			var got login
			if device {
				got, err = c.loginOnDevice(ctx, issuer, client.StepUp{})
			} else {
				got, err = c.loginInBrowser(ctx, issuer, noBrowser, client.StepUp{})
			}
			if err != nil {
				return err
			}
			if err := c.keepLogin(ctx, issuer, got); err != nil {
				return err
			}
			return c.sayLogin(ctx, issuer)
		},
	}
	cmd.Flags().BoolVar(&device, "device", false, "use a browser on another device, by a code")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait for the browser")
	cmd.MarkFlagsMutuallyExclusive("device", "no-browser")
	return cmd
}

// sayLogin tells as whom somebody is logged in now: a browser may be signed in as
// somebody else than its owner thinks, and as somebody who administers nothing.
func (c *console) sayLogin(ctx context.Context, issuer string) error {
	cl, err := c.adminAt(issuer)
	if err != nil {
		return err
	}
	me, err := cl.Operators.Me(ctx)
	var no *client.Problem
	switch {
	case err == nil:
		fmt.Fprintf(c.out, "You are logged in at %s as %s, %s.\n", issuer, cell(firstOf(me.Name, me.Principal)), me.Role)
	case errors.As(err, &no) && no.Code == "not_an_operator":
		fmt.Fprintf(c.out, "You are logged in at %s.\n", issuer)
		fmt.Fprintf(c.err, "But the account that your browser used administers nothing there, so other commands will be refused.\n"+
			"Choose another at %s/accounts and log in again.\n", issuer)
	default:
		fmt.Fprintf(c.out, "You are logged in at %s.\n", issuer)
	}
	return nil
}

// keepLogin notes a login as the one to use. The one that it takes the place of
// is ended: nobody has it any more, so nobody would.
func (c *console) keepLogin(ctx context.Context, issuer string, got login) error {
	unlock, err := c.lockTokens()
	if err != nil {
		return err
	}
	defer unlock()
	store, err := c.tokens()
	if err != nil {
		return err
	}
	old, had := store.Logins[issuer]
	store.Current, store.Logins[issuer] = issuer, got
	if err := store.save(); err != nil || !had {
		return err
	}
	if err := revoke(ctx, issuer, old); err != nil {
		fmt.Fprintf(c.err, "Your former login at %s could not be ended: %v\n", issuer, err)
	}
	return nil
}

// loginInBrowser runs the authorization code flow for native applications
// (RFC 8252): the answer comes to a port of this machine's loopback address.
func (c *console) loginInBrowser(ctx context.Context, issuer string, printOnly bool, least client.StepUp) (login, error) {
	e, err := discover(ctx, issuer)
	if err != nil {
		return login{}, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return login{}, err
	}
	redirect := "http://" + listener.Addr().String() + "/callback"
	state, p := randomText(), newProof()
	answers := make(chan answer, 1)
	server := &http.Server{Handler: callback(issuer, state, answers), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	defer func() { <-done }()
	defer server.Close()

	target := authorizeURL(e, redirect, state, p, least)
	if printOnly || c.openBrowser(target) != nil {
		fmt.Fprintf(c.err, "Open this address in a browser on this machine:\n\n  %s\n\n", target)
	} else {
		fmt.Fprintf(c.err, "Continue in your browser. If none opened, open this address:\n\n  %s\n\n", target)
	}
	select {
	case <-ctx.Done():
		return login{}, errors.New("nobody signed in")
	case a := <-answers:
		if a.err != nil {
			return login{}, a.err
		}
		return redeem(ctx, e, a.code, redirect, p)
	}
}

// answer is what the browser brought back.
type answer struct {
	code string
	err  error
}

// callback takes the authorization response. An answer with another state or
// issuer is not to our question and is refused without ending the wait.
func callback(issuer, state string, answers chan<- answer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		if q.Get("state") != state || q.Get("iss") != issuer {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, page("That is not the answer to your login", "Go back to the terminal and run cardea login again."))
			return
		}
		a := answer{code: q.Get("code")}
		if a.code == "" {
			a.err = errors.New("the server refused: " + cell(firstOf(q.Get("error_description"), q.Get("error"), "no code")))
			io.WriteString(w, page("You are not logged in", "The terminal says why. You can close this window."))
		} else {
			io.WriteString(w, page("You are logged in", "You can close this window and return to the terminal."))
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case answers <- a:
		default: // a second answer: the first one counts
		}
	})
	return mux
}

// page is what the browser shows at the end, in one answer: nobody is there for a
// second request. Both texts are ours.
func page(title, advice string) string {
	const style = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:18vh auto;padding:0 1.5rem}h1{font-size:1.5rem}"
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
		`<meta name="color-scheme" content="light dark"><title>` + title + ` · Cardea</title><link rel="stylesheet" href="data:text/css,` + url.PathEscape(style) + `"></head>` +
		`<body><main><h1>` + title + `</h1><p>` + advice + `</p></main></body></html>` + "\n"
}

func (c *console) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [ISSUER]",
		Short: "Forget a login and end it on the server",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			unlock, err := c.lockTokens()
			if err != nil {
				return err
			}
			defer unlock()
			store, err := c.tokens()
			if err != nil {
				return err
			}
			issuer := strings.TrimSuffix(firstOf(append(args, store.Current)...), "/")
			old, ok := store.Logins[issuer]
			if !ok {
				return errors.New("you are not logged in")
			}
			revokeErr := revoke(cmd.Context(), issuer, old)
			delete(store.Logins, issuer)
			if store.Current == issuer {
				store.Current = ""
			}
			if err := store.save(); err != nil {
				return err
			}
			if revokeErr != nil {
				return fmt.Errorf("the tokens are deleted here, but %s could not be told: %w", issuer, revokeErr)
			}
			fmt.Fprintf(c.out, "You are logged out of %s.\n", issuer)
			return nil
		},
	}
}
