package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// importPartBytes is how large the parts of an import are, at most.
const importPartBytes = 500_000

// importOnServer sends a file in parts and has the server write it.
func (c *console) importOnServer(ctx context.Context, cl *client.Client, in *os.File, total int, detach bool) error {
	if total == 0 {
		return errUsage{fmt.Errorf("%s holds no facts", in.Name())}
	}
	i, err := cl.FactImports.Create(ctx, api.FactImportCreate{Name: filepath.Base(in.Name())})
	if err != nil {
		return err
	}
	parts, err := eachPart(in, func(part int64, upTo int, lines string) error {
		if _, err := cl.FactImports.Put(ctx, i.ID, part, lines); err != nil {
			return fmt.Errorf("up to line %d: %w", upTo, err)
		}
		fmt.Fprintf(c.err, "\rsent %d of %d lines", upTo, total)
		return nil
	})
	fmt.Fprintln(c.err)
	if err == nil {
		i, err = cl.FactImports.Start(ctx, i.ID, parts)
	}
	if err != nil {
		if gone := cl.FactImports.Cancel(context.WithoutCancel(ctx), i.ID); gone != nil {
			fmt.Fprintf(c.err, "import %s is still there: %v\n", i.ID, gone)
		}
		return fmt.Errorf("%w (nothing was written)", err)
	}
	if detach {
		return c.showImport(i)
	}
	return c.followImport(ctx, cl, i)
}

// eachPart cuts a file into parts of whole lines.
func eachPart(in io.Reader, do func(part int64, upTo int, lines string) error) (parts int64, err error) {
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, 64<<10), 1<<20)
	var b strings.Builder
	facts, read := 0, 0
	flush := func() error {
		if facts == 0 {
			return nil
		}
		parts++
		err := do(parts, read, b.String())
		b.Reset()
		facts = 0
		return err
	}
	for scan.Scan() {
		if len(scan.Bytes()) > 0 {
			if facts == importBatch || b.Len()+len(scan.Bytes()) >= importPartBytes {
				if err := flush(); err != nil {
					return parts, err
				}
			}
			b.Write(scan.Bytes())
			b.WriteByte('\n')
			facts++
		}
		read++
	}
	if err := scan.Err(); err != nil {
		return parts, err
	}
	return parts, flush()
}

// followImport tells how far an import is until it ends.
func (c *console) followImport(ctx context.Context, cl *client.Client, i api.FactImport) error {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for i.State == "running" {
		fmt.Fprintf(c.err, "\rwritten %d of %d facts", i.DoneFacts, i.Facts)
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("the server goes on by itself; see: cardea relation import-resume %s", i.ID)
		}
		next, err := cl.FactImports.Get(ctx, i.ID)
		if err != nil {
			return err
		}
		i = next
	}
	fmt.Fprintf(c.err, "\rwritten %d of %d facts\n", i.DoneFacts, i.Facts)
	if err := c.showImport(i); err != nil {
		return err
	}
	return failUnless(i.State == "done")
}

func (c *console) showImport(i api.FactImport) error {
	return c.write(i, func(w io.Writer) {
		facts(w, "id", i.ID, "name", i.Name, "state", i.State, "facts", fmt.Sprintf("%d of %d", i.DoneFacts, i.Facts), "by", strings.TrimSpace(i.By.Kind+" "+i.By.ID), "created", moment(i.CreatedAt),
			"ended", optionalMoment(i.EndedAt), "error", i.LastError, "revision", i.Revision)
	})
}

func (c *console) relationImports() *cobra.Command {
	columns := []column[api.FactImport]{
		{"ID", func(i api.FactImport) string { return i.ID }},
		{"NAME", func(i api.FactImport) string { return i.Name }},
		{"STATE", func(i api.FactImport) string { return i.State }},
		{"FACTS", func(i api.FactImport) string { return fmt.Sprintf("%d of %d", i.DoneFacts, i.Facts) }},
		{"CREATED", func(i api.FactImport) string { return moment(i.CreatedAt) }},
		{"ERROR", func(i api.FactImport) string { return i.LastError }},
	}
	cmd := listing(c, "imports", "List imports on the server and how far they are", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.FactImport], error) {
			return cl.FactImports.List(ctx, at)
		})
	return cmd
}

func (c *console) importResume() *cobra.Command {
	var detach bool
	cmd := c.action("import-resume IMPORT", "Go on with an import on the server: watch it, or start it again after it failed", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		i, err := cl.FactImports.Get(ctx, args[0])
		if err == nil && i.State == "failed" {
			i, err = cl.FactImports.Start(ctx, i.ID, i.Parts)
		}
		if err != nil {
			return err
		}
		if detach {
			return c.showImport(i)
		}
		return c.followImport(ctx, cl, i)
	})
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait")
	return cmd
}
