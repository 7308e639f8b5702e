package main

import (
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/client"
)

// A shell waits for suggestions while somebody types, so they are few, come soon
// or not at all, and never complain.
const (
	suggestSoon = 2 * time.Second
	suggestMost = 50
	suggestLook = 1000 // things looked at for suggestions
)

// candidate is something that an argument may name.
type candidate struct {
	names []string // the ways to name it, the best first
	about string   // what people read beside it
}

// source lists candidates for what was typed so far, behind the arguments args.
type source func(ctx context.Context, cl *client.Client, args []string, typed string) iter.Seq2[candidate, error]

// completes lets the arguments and flags of the administering commands be
// completed: an argument by what its command calls it, such as USER.
func (c *console) completes(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		c.completes(sub)
	}
	if cmd.HasSubCommands() {
		return
	}
	wanted := placeholders(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(wanted) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if slices.Contains([]string{"DIR", "BEFORE", "AFTER"}, placeholder.FindAllString(cmd.Use, -1)[len(args)]) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		return c.suggest(cmd.Context(), wanted[len(args)], args, typed), cobra.ShellCompDirectiveNoFileComp
	}
	for name, from := range flagSources {
		if special, ok := flagSources[cmd.Parent().Name()+" "+cmd.Name()+" "+name]; ok {
			from = special
		}
		if cmd.LocalNonPersistentFlags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return c.suggest(cmd.Context(), from, args, typed), cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
}

var placeholder = regexp.MustCompile(`[A-Z][A-Z-]+`)

// placeholders are the sources of a command's arguments, in their order. Nil is
// an argument that nobody but the user knows.
func placeholders(cmd *cobra.Command) (all []source) {
	for _, name := range placeholder.FindAllString(cmd.Use, -1) {
		from, special := argumentSources[cmd.Parent().Name()+" "+cmd.Name()+" "+name]
		if !special {
			from = argumentSources[name]
		}
		all = append(all, from)
	}
	return all
}

// suggest asks a source. Whatever goes wrong, there are no suggestions.
func (c *console) suggest(ctx context.Context, from source, args []string, typed string) []cobra.Completion {
	if from == nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, suggestSoon)
	defer cancel()
	found := make(chan []cobra.Completion, 1)
	go func() { // waiting for another command that renews the login knows no end
		cl, err := c.admin(client.WithTries(1))
		if err != nil {
			cl = nil // fixed words need no server
		}
		found <- collect(from(ctx, cl, args, typed), typed)
	}()
	select {
	case list := <-found:
		return list
	case <-ctx.Done():
		return nil
	}
}

func collect(all iter.Seq2[candidate, error], typed string) (list []cobra.Completion) {
	looked := 0
	for one, err := range all {
		if looked++; err != nil || looked > suggestLook {
			break
		}
		name, ok := one.fitting(typed)
		if !ok {
			continue
		}
		if list = append(list, cobra.CompletionWithDesc(name, cell(one.about))); len(list) == suggestMost {
			break
		}
	}
	return list
}

// fitting is the best name that begins as typed and that a shell can take as
// one word.
func (x candidate) fitting(typed string) (string, bool) {
	i := slices.IndexFunc(x.names, func(n string) bool {
		return n != "" && !strings.HasPrefix(n, "-") && strings.HasPrefix(n, typed) && !strings.ContainsAny(n, " \"'`\\$") && cell(n) == n
	})
	if i < 0 {
		return "", false
	}
	return x.names[i], true
}

// oneOf is a source of fixed words.
func oneOf(words ...string) source {
	return func(context.Context, *client.Client, []string, string) iter.Seq2[candidate, error] {
		return func(yield func(candidate, error) bool) {
			for _, w := range words {
				if !yield(candidate{names: []string{w}}, nil) {
					return
				}
			}
		}
	}
}

// listOf is a source of things that the admin API lists.
func listOf[T any](list func(ctx context.Context, cl *client.Client, args []string, typed string) iter.Seq2[T, error], as func(T) candidate) source {
	return func(ctx context.Context, cl *client.Client, args []string, typed string) iter.Seq2[candidate, error] {
		return func(yield func(candidate, error) bool) {
			if cl == nil {
				return
			}
			for item, err := range list(ctx, cl, args, typed) {
				if err != nil || !yield(as(item), nil) {
					return
				}
			}
		}
	}
}
