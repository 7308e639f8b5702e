// Command cardea runs Cardea and administers it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version and commit are set by the linker: -X main.version=… -X main.commit=…
var version, commit = "dev", ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var names []string
	for _, one := range os.Environ() {
		name, _, _ := strings.Cut(one, "=")
		names = append(names, name)
	}
	err := run(ctx, os.Args[1:], names, os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	var called errUsage
	switch {
	case errors.As(err, &called):
		os.Exit(2)
	case err != nil:
		os.Exit(1)
	}
}

// run is the whole program. The error has already been written to stderr.
func run(ctx context.Context, args, environment []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	c := &console{getenv: getenv, environment: environment, in: stdin, out: stdout, err: stderr, openBrowser: openBrowser}
	root := newRoot(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintln(stderr, "cardea: "+c.explain(err))
	}
	return err
}

// errSaid is an error whose explanation has already been written.
var errSaid = errors.New("failed")
