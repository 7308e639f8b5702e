package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
)

// readEntity reads TYPE:ID. The id is everything behind the first colon that is
// not one of the type's own, such as App::Document:1.
func readEntity(text string) (api.Entity, error) {
	for i := 0; i < len(text); i++ {
		if text[i] != ':' {
			continue
		}
		if i+1 < len(text) && text[i+1] == ':' {
			i++
			continue
		}
		if i > 0 && i+1 < len(text) {
			return api.Entity{Type: text[:i], ID: text[i+1:]}, nil
		}
		break
	}
	return api.Entity{}, fmt.Errorf("%q is no entity; write its type, a colon and its id, such as document:42", text)
}

func showEntity(e api.Entity) string { return e.Type + ":" + e.ID }

// entityFilter reads TYPE or TYPE:ID into two parameters of a list.
func entityFilter(f client.Filter, name string) error {
	text := f[name]
	delete(f, name)
	if text == "" {
		return nil
	}
	if e, err := readEntity(text); err == nil {
		f[name+"_type"], f[name+"_id"] = e.Type, e.ID
		return nil
	}
	if strings.Contains(strings.ReplaceAll(text, "::", ""), ":") {
		_, err := readEntity(text)
		return err
	}
	f[name+"_type"] = text
	return nil
}

// tellTypes says what was taken for a type where it alone was asked for and nothing
// was found: an entity may have been meant.
func (c *console) tellTypes(f client.Filter, at client.Cursor, names ...string) {
	asked := 0
	for _, v := range f {
		if v != "" {
			asked++
		}
	}
	for _, name := range names {
		if typ := f[name+"_type"]; typ != "" && asked == 1 && at.After == "" {
			fmt.Fprintf(c.err, "Nothing was found of the type %q; for one entity write its type, a colon and its id, such as %s:42.\n", typ, typ)
		}
	}
}

// factsAsPage is a page of facts as lists have it.
func factsAsPage[T any](p api.FactPage[T], err error) (api.Page[T], error) {
	return api.Page[T]{Items: p.Items, Next: p.Next}, err
}

func (c *console) relationCommand() *cobra.Command {
	columns := []column[api.Relation]{
		{"SUBJECT", func(r api.Relation) string { return showEntity(r.Subject) }},
		{"RELATION", func(r api.Relation) string { return r.Relation }},
		{"OBJECT", func(r api.Relation) string { return showEntity(r.Object) }},
		{"EXPIRES", func(r api.Relation) string { return optionalMoment(r.ExpiresAt) }},
		{"SOURCE", func(r api.Relation) string { return r.Source }},
	}
	cmd := c.resource("relation", "Who is related to what: members, parents and roles",
		listing(c, "list", "List relations", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Relation], error) {
				if err := errors.Join(entityFilter(f, "subject"), entityFilter(f, "object")); err != nil {
					return api.Page[api.Relation]{}, err
				}
				page, err := factsAsPage(cl.Facts.Relations(ctx, f, at))
				if err == nil && len(page.Items) == 0 {
					c.tellTypes(f, at, "subject", "object")
				}
				return page, err
			}, filterFlag{"subject", "of this TYPE or TYPE:ID"}, filterFlag{"relation", "of this name"}, filterFlag{"object", "to this TYPE or TYPE:ID"}, filterFlag{"source", "from this pulled source's id"}),
		c.relationAdd(),
		c.relationImport(),
		c.relationImports(),
		c.importResume(),
		c.deed("import-cancel IMPORT", "End an import on the server; what was written stays", cobra.ExactArgs(1), "is canceled", func(ctx context.Context, cl *client.Client, args []string) error {
			return cl.FactImports.Cancel(ctx, args[0])
		}),
		c.action("remove SUBJECT RELATION OBJECT", "Remove a relation", cobra.ExactArgs(3), func(ctx context.Context, cl *client.Client, args []string) error {
			r, err := relationOf(args)
			if err != nil {
				return err
			}
			return c.written(cl.Facts.Write(ctx, "", api.AccessChanges{Remove: []api.RelationName{r}}))
		}),
	)
	cmd.Long = `Relations are facts that policies decide by. A subject is a member of a group, a
resource has another as its parent, and every other relation is the name of a role
that the subject holds on the object, and on all that is inside it.

An entity is written TYPE:ID. People, groups and organizations are there by
themselves, as user:usr_…, group:grp_… and organization:org_….`
	cmd.Example = `  cardea relation add user:usr_01h455vb4pex5vsknk084sn02q editor folder:plans --for 720h
  cardea relation add document:42 parent folder:plans
  cardea relation list --object folder:plans
  cardea relation import facts.jsonl
  cardea relation remove document:42 parent folder:plans`
	return cmd
}

func relationOf(args []string) (r api.RelationName, err error) {
	if r.Subject, err = readEntity(args[0]); err != nil {
		return r, err
	}
	r.Relation = args[1]
	r.Object, err = readEntity(args[2])
	return r, err
}

func (c *console) relationAdd() *cobra.Command {
	var last time.Duration
	cmd := c.action("add SUBJECT RELATION OBJECT", "Add a relation, or change when it ends", cobra.ExactArgs(3), func(ctx context.Context, cl *client.Client, args []string) error {
		r, err := relationOf(args)
		if err != nil {
			return err
		}
		add := api.Relation{Subject: r.Subject, Relation: r.Relation, Object: r.Object}
		if last > 0 {
			end := time.Now().Add(last).UTC()
			add.ExpiresAt = &end
		}
		if err := c.written(cl.Facts.Write(ctx, "", api.AccessChanges{Add: []api.Relation{add}})); err != nil {
			return err
		}
		c.tellUnknownRole(ctx, cl, r.Relation)
		return nil
	})
	cmd.Long = `Add a relation, or change when it ends.

Facts may be written before the policies that go by them. If the policies of now have
no role of the relation's name, a warning says so and names those that they have.`
	cmd.Flags().DurationVar(&last, "for", 0, "how long it lasts, such as 720h; for ever if left out")
	return cmd
}

// tellUnknownRole warns of a relation that no policy can go by. It says nothing
// where it cannot know: without policies, to those who may not read them, and where
// agents have Rego, which goes by any name.
func (c *console) tellUnknownRole(ctx context.Context, cl *client.Client, name string) {
	if name == graph.Member || name == graph.Parent {
		return
	}
	now, err := cl.Policies.Get(ctx, "current")
	if err != nil {
		return
	}
	var roles folder.Files
	for _, f := range now.Contents {
		if strings.HasPrefix(f.Path, "rego/") {
			return
		}
		if f.Path == folder.RolesFile {
			roles = append(roles, folder.File{Path: f.Path, Text: []byte(f.Text)})
		}
	}
	known := []string{graph.Member, graph.Parent}
	f, _ := folder.Read(roles)
	for _, t := range f.Source.Roles.Types {
		for _, role := range t.Roles {
			known = append(known, role.Name)
		}
	}
	slices.Sort(known)
	if !slices.Contains(known, name) {
		fmt.Fprintf(c.err, "warning: the policies have no role %q, so nothing goes by this relation; they have %s\n", name, strings.Join(slices.Compact(known), ", "))
	}
}

func (c *console) attributeCommand() *cobra.Command {
	columns := []column[api.Attribute]{
		{"ENTITY", func(a api.Attribute) string { return showEntity(a.Entity) }},
		{"NAME", func(a api.Attribute) string { return a.Name }},
		{"VALUE", func(a api.Attribute) string { return string(a.Value) }},
		{"SOURCE", func(a api.Attribute) string { return a.Source }},
	}
	cmd := c.resource("attribute", "What is known about entities, for policies to decide by",
		listing(c, "list", "List attributes", cobra.NoArgs, columns,
			func(ctx context.Context, cl *client.Client, _ []string, f client.Filter, at client.Cursor) (api.Page[api.Attribute], error) {
				if err := entityFilter(f, "entity"); err != nil {
					return api.Page[api.Attribute]{}, err
				}
				page, err := factsAsPage(cl.Facts.Attributes(ctx, f, at))
				if err == nil && len(page.Items) == 0 {
					c.tellTypes(f, at, "entity")
				}
				return page, err
			}, filterFlag{"entity", "of this TYPE or TYPE:ID"}, filterFlag{"name", "of this name"}, filterFlag{"source", "from this pulled source's id"}),
		c.attributeSet(),
		c.action("unset ENTITY NAME", "Forget an attribute", cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, args []string) error {
			e, err := readEntity(args[0])
			if err != nil {
				return err
			}
			return c.written(cl.Facts.Write(ctx, "", api.AccessChanges{Unset: []api.AttributeName{{Entity: e, Name: args[1]}}}))
		}),
	)
	cmd.Example = `  cardea attribute set payment:17 status active
  cardea attribute set payment:17 amount 4200 --if 4100
  cardea attribute list --entity payment:17
  cardea attribute unset payment:17 amount`
	return cmd
}

func (c *console) attributeSet() *cobra.Command {
	var was string
	cmd := c.action("set ENTITY NAME VALUE", "Set an attribute; a value that is not JSON is text", cobra.ExactArgs(3), func(ctx context.Context, cl *client.Client, args []string) error {
		e, err := readEntity(args[0])
		if err != nil {
			return err
		}
		changes := api.AccessChanges{Set: []api.Attribute{{Entity: e, Name: args[1], Value: jsonOrText(args[2])}}}
		if was != "" {
			changes.Require = []api.AccessRequirement{{Attribute: &api.Attribute{Entity: e, Name: args[1], Value: jsonOrText(was)}}}
		}
		done, err := cl.Facts.Write(ctx, "", changes)
		var p *client.Problem
		if errors.As(err, &p) && p.Code == "fact_not_as_required" {
			return fmt.Errorf("%s of %s is not %s now, so nothing was written (see cardea attribute list --entity %[2]s)", args[1], args[0], was)
		}
		return c.written(done, err)
	})
	cmd.Flags().StringVar(&was, "if", "", "only if this is its value now")
	return cmd
}

func jsonOrText(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return quoted
}

func (c *console) written(done api.AccessWritten, err error) error {
	if err != nil {
		return err
	}
	return c.write(done, func(w io.Writer) { facts(w, "revision", done.Revision) })
}
