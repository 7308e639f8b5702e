package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// importBatch is how many lines are written at once.
const importBatch = 1000

// factLine is a line of a file of facts: a relation, or an attribute.
type factLine struct {
	Subject   *api.Entity     `json:"subject"`
	Relation  string          `json:"relation"`
	Object    *api.Entity     `json:"object"`
	ExpiresAt *time.Time      `json:"expires_at"`
	Entity    *api.Entity     `json:"entity"`
	Name      string          `json:"name"`
	Value     json.RawMessage `json:"value"`
}

func readFactLine(line []byte) (l factLine, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) {
			err = fmt.Errorf("want a JSON object like that of cardea relation import --help: %s cannot be a %s", cmp.Or(other.Field, "a line"), other.Value)
		}
		return l, err
	}
	relation := l.Subject != nil && l.Object != nil && l.Relation != ""
	attribute := l.Entity != nil && l.Name != "" && len(l.Value) > 0
	mixed := relation && (l.Entity != nil || l.Name != "" || l.Value != nil) || attribute && (l.Subject != nil || l.Object != nil || l.Relation != "" || l.ExpiresAt != nil)
	if relation == attribute || mixed {
		return l, errors.New("want subject, relation and object, or entity, name and value")
	}
	return l, nil
}

// relationImport writes a file of facts, batch by batch. Each batch has a key that
// is made of everything up to its end, so that a file that is sent again goes on
// where it broke off, and a file that has grown writes what is new.
func (c *console) relationImport() *cobra.Command {
	var check, onServer, detach bool
	cmd := c.action("import FILE", "Write the relations and attributes of a file, one JSON object a line", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, args []string) error {
		in, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		// All of it is read once before anything is written.
		total, err := eachBatch(in, func(string, int, api.AccessChanges) error { return nil })
		if err != nil || check {
			if err == nil {
				fmt.Fprintf(c.out, "%d lines are in order.\n", total)
			}
			return err
		}
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var last api.AccessWritten
		if onServer {
			return c.importOnServer(ctx, cl, in, total, detach)
		}
		skipped := 0
		_, err = eachBatch(in, func(key string, upTo int, batch api.AccessChanges) error {
			done, err := cl.Facts.Write(ctx, key, batch)
			if err != nil {
				return fmt.Errorf("up to line %d: %w (what was written stays; run the same command again to go on)", upTo, err)
			}
			if last = done; done.Repeated {
				skipped++
			}
			fmt.Fprintf(c.err, "\r%d of %d lines", upTo, total)
			return nil
		})
		fmt.Fprintln(c.err)
		if err != nil {
			return err
		}
		return c.write(last, func(w io.Writer) {
			facts(w, "lines", fmt.Sprint(total), "batches that were there already", fmt.Sprint(skipped), "revision", last.Revision)
		})
	})
	cmd.Flags().BoolVar(&check, "check", false, "read the file and write nothing")
	cmd.Flags().BoolVar(&onServer, "on-server", false, "send the file first; then the server writes it by itself")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait for the server; see cardea relation imports")
	cmd.MarkFlagsMutuallyExclusive("check", "on-server")
	cmd.Long = `A line is a relation or an attribute:

  {"subject":{"type":"user","id":"7"},"relation":"editor","object":{"type":"document","id":"42"}}
  {"entity":{"type":"document","id":"42"},"name":"status","value":"open"}

The file is read as a whole before anything is written. An import that broke off is
continued by the same command, for a week: batches that were written are skipped.

With --on-server nothing is written before all of it has been sent and checked, and from
then on the server goes on by itself, whatever becomes of this command.`
	return cmd
}

func eachBatch(in io.Reader, do func(key string, upTo int, batch api.AccessChanges) error) (lines int, err error) {
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, 64<<10), 1<<20)
	sum := sha256.New()
	var batch api.AccessChanges
	size, bytes := 0, 0
	flush := func() error {
		if size == 0 {
			return nil
		}
		err := do("import-"+hex.EncodeToString(sum.Sum(nil)), lines, batch)
		batch, size, bytes = api.AccessChanges{}, 0, 0
		return err
	}
	for scan.Scan() {
		lines++
		if len(scan.Bytes()) == 0 {
			continue
		}
		l, err := readFactLine(scan.Bytes())
		if err != nil {
			return lines, fmt.Errorf("line %d: %w", lines, err)
		}
		if bytes+len(scan.Bytes()) > 900_000 {
			lines--
			if err := flush(); err != nil {
				return lines, err
			}
			lines++
		}
		_, _ = sum.Write(scan.Bytes())
		_, _ = sum.Write([]byte{'\n'})
		if bytes += len(scan.Bytes()); l.Subject != nil {
			batch.Add = append(batch.Add, api.Relation{Subject: *l.Subject, Relation: l.Relation, Object: *l.Object, ExpiresAt: l.ExpiresAt})
		} else {
			batch.Set = append(batch.Set, api.Attribute{Entity: *l.Entity, Name: l.Name, Value: l.Value})
		}
		if size++; size == importBatch {
			if err := flush(); err != nil {
				return lines, err
			}
		}
	}
	if err := scan.Err(); err != nil {
		return lines, fmt.Errorf("line %d: %w", lines+1, err)
	}
	return lines, flush()
}
