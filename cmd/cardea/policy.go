package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/internal/access/folder"
)

// errUsage is an error in how a command was called: the program ends with 2.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

func (c *console) policyCommand() *cobra.Command {
	cmd := c.resource("policy", "Policy as code: a folder of schema, roles, policies and their tests",
		c.policyCheck(), c.policyTest(), c.policyFmt(), c.policyDiff(), c.policyPlan(), c.policyApply(), c.policyList(), c.policyShow(), c.policyRollback(), c.policyFollow())
	cmd.Long = `A policy folder holds schema.cedarschema, roles.yaml, policies/*.cedar and tests/*.yaml.
check, test, fmt and diff need no server. plan asks the decisions of the last days again and
names who would gain and who would lose which access; apply can require that plan.

Exit codes: 0, 1 if there are problems, 2 if the command was called wrongly.`
	cmd.Example = `  cardea policy check policies/
  cardea policy test policies/
  cardea policy plan policies/ --days 30
  cardea policy apply policies/ --plan 3f1c… --message "viewers may comment"
  cardea policy follow --git https://git.example.com/acme/policies.git --branch main`
	usage(cmd)
	return cmd
}

// usage has a command and those below it tell wrong calls from problems.
func usage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	for _, sub := range cmd.Commands() {
		if args := sub.Args; args != nil {
			sub.Args = func(cmd *cobra.Command, given []string) error {
				if err := args(cmd, given); err != nil {
					return errUsage{err}
				}
				return nil
			}
		}
		usage(sub)
	}
	if args := cmd.Args; args != nil && cmd.HasSubCommands() {
		cmd.Args = func(_ *cobra.Command, given []string) error {
			if len(given) > 0 {
				return errUsage{fmt.Errorf("there is no command %q; see cardea policy --help", given[0])}
			}
			return nil
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// openFolder reads the folder at a path, out of which no link leads.
func openFolder(dir string) (folder.Files, folder.Problems, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, errUsage{err}
	}
	defer root.Close()
	files, problems := folder.Open(root.FS())
	return files, problems, nil
}

// readFolder reads and judges the folder that args name, or the one here.
func readFolder(args []string) (*folder.Folder, folder.Problems, string, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	files, problems, err := openFolder(dir)
	if err != nil {
		return nil, nil, dir, err
	}
	f, more := folder.Read(files)
	return f, append(problems, more...), dir, nil
}

// paint colours text where a terminal shows it.
func (c *console) paint(code, s string) string {
	if !c.coloured() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (c *console) red(s string) string    { return c.paint("31", s) }
func (c *console) green(s string) string  { return c.paint("32", s) }
func (c *console) yellow(s string) string { return c.paint("33", s) }

// printProblems writes problems as compilers do, with paths from here.
func (c *console) printProblems(dir string, problems folder.Problems) {
	for _, p := range problems {
		p.File = filepath.Join(dir, p.File)
		advice := ""
		if p.Advice != "" {
			advice = "\n    " + p.Advice
		}
		fmt.Fprintf(c.out, "%s: %s%s\n", cell(p.Place()), c.red(lines(p.Message)), lines(advice))
	}
}

// lines is text of several lines, harmless to a terminal.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = cell(parts[i])
	}
	return strings.Join(parts, "\n")
}

// checked is what check and test say in JSON.
type checked struct {
	Folder   string           `json:"folder"`
	OK       bool             `json:"ok"`
	Hash     string           `json:"hash,omitempty"`
	Policies int              `json:"policies"`
	Roles    int              `json:"roles"`
	Problems []folder.Problem `json:"problems"`
	Tests    *folder.Report   `json:"tests,omitempty"`
}

func checkedOf(dir string, f *folder.Folder, problems folder.Problems) checked {
	out := checked{Folder: dir, OK: len(problems) == 0, Hash: f.Hash, Policies: len(f.Policies()), Problems: []folder.Problem{}}
	out.Problems = append(out.Problems, problems...)
	for _, t := range f.Source.Roles.Types {
		out.Roles += len(t.Roles)
	}
	return out
}

func (c *console) policyCheck() *cobra.Command {
	return &cobra.Command{Use: "check [DIR]", Short: "Report every problem of a folder, with its place and what to do", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, problems, dir, err := readFolder(args)
			if err != nil {
				return err
			}
			out := checkedOf(dir, f, problems)
			if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
				if out.OK {
					fmt.Fprintf(c.out, "%s %s: %d policies, %d roles, %d tests, %s\n", c.green("ok"), dir, out.Policies, out.Roles, len(f.Tests), f.Hash[:12])
				}
			} else if err := c.write(out, nil); err != nil {
				return err
			}
			return failUnless(out.OK)
		}}
}

// failUnless ends with 1 after the problems have been said.
func failUnless(ok bool) error {
	if ok {
		return nil
	}
	return errSaid
}

func (c *console) policyTest() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{Use: "test [DIR]", Short: "Run the tests of a folder on the function that decides", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, problems, dir, err := readFolder(args)
			if err != nil {
				return err
			}
			out := checkedOf(dir, f, problems)
			if out.OK {
				began := time.Now()
				out.Tests = f.Run()
				took := time.Since(began)
				out.OK = out.Tests.OK() && !(strict && len(out.Tests.Unexercised) > 0)
				if c.output == "table" || c.output == "" {
					c.printTests(dir, out.Tests, strict)
					if out.OK {
						fmt.Fprintf(c.out, "%s %s: %d questions of %d tests in %s\n", c.green("ok"), dir, out.Tests.Questions, out.Tests.Tests, took.Round(100*time.Microsecond))
					}
				}
			} else if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
			}
			if c.output == "json" || c.output == "yaml" {
				if err := c.write(out, nil); err != nil {
					return err
				}
			}
			return failUnless(out.OK)
		}}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail if there is a policy or role that no test rests on")
	return cmd
}

func (c *console) printTests(dir string, r *folder.Report, strict bool) {
	for _, x := range r.Failures {
		fmt.Fprintf(c.out, "%s: %s %s\n    %s: %s\n", cell(fmt.Sprintf("%s:%d", filepath.Join(dir, x.File), x.Line)), c.red("FAIL"), cell(x.Test), cell(x.Question), cell(x.Message))
		for _, reason := range x.Reasons {
			fmt.Fprintf(c.out, "    because %s\n", cell(reason))
		}
		for _, step := range x.Path {
			fmt.Fprintf(c.out, "    through %s\n", cell(step))
		}
	}
	paint := c.yellow
	if strict {
		paint = c.red
	}
	for _, u := range r.Unexercised {
		fmt.Fprintf(c.out, "%s: %s\n", cell(fmt.Sprintf("%s:%d:%d", filepath.Join(dir, u.File), u.Line, u.Column)), paint("no test rests on "+u.Kind+" "+cell(u.Name)))
	}
}

func (c *console) policyFmt() *cobra.Command {
	var check bool
	cmd := &cobra.Command{Use: "fmt [DIR]", Short: "Give the files of a folder their canonical layout; comments stay", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			files, problems, err := openFolder(dir)
			if err != nil {
				return err
			}
			changed := []string{}
			for _, f := range files {
				out, problem := folder.Layout(f)
				if problem != nil {
					problems = append(problems, *problem)
					continue
				}
				if out == string(f.Text) {
					continue
				}
				changed = append(changed, f.Path)
				if !check {
					if err := replaceFile(filepath.Join(dir, filepath.FromSlash(f.Path)), out); err != nil {
						return err
					}
				}
			}
			if c.output == "table" || c.output == "" {
				c.printProblems(dir, problems)
				for _, p := range changed {
					fmt.Fprintln(c.out, filepath.Join(dir, p))
				}
			} else if err := c.write(map[string]any{"changed": changed, "problems": append(folder.Problems{}, problems...)}, nil); err != nil {
				return err
			}
			return failUnless(len(problems) == 0 && !(check && len(changed) > 0))
		}}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if a file would change")
	return cmd
}

// replaceFile writes a file beside and puts it in the place of the old one.
func replaceFile(name, text string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, []byte(text), info.Mode().Perm()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

func (c *console) policyDiff() *cobra.Command {
	var texts bool
	cmd := &cobra.Command{Use: "diff BEFORE AFTER", Short: "Say in words how two folders differ: directories, or versions on the server as @3 and @current", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]*folder.Folder
			for i, arg := range args {
				f, err := c.eitherFolder(cmd.Context(), arg)
				if err != nil {
					return err
				}
				both[i] = f
			}
			d := folder.Diff(both[0], both[1])
			if c.output == "json" || c.output == "yaml" {
				return c.write(d, nil)
			}
			for _, x := range d {
				fmt.Fprintln(c.out, cell(x.Words))
				if texts {
					c.printTexts(x.Before, x.After)
				}
			}
			return nil
		}}
	cmd.Flags().BoolVar(&texts, "texts", false, "show what was and what is as well")
	return cmd
}

func (c *console) printTexts(before, after string) {
	for _, side := range []struct{ mark, text string }{{c.red("- "), before}, {c.green("+ "), after}} {
		for line := range strings.SplitSeq(strings.TrimSuffix(side.text, "\n"), "\n") {
			if side.text != "" {
				fmt.Fprintf(c.out, "    %s%s\n", side.mark, cell(strings.ReplaceAll(line, "\t", "    ")))
			}
		}
	}
}

// eitherFolder reads a directory, or a version of the server.
func (c *console) eitherFolder(ctx context.Context, arg string) (*folder.Folder, error) {
	if v, ok := strings.CutPrefix(arg, "@"); ok {
		cl, err := c.admin()
		if err != nil {
			return nil, err
		}
		got, err := cl.Policies.Get(ctx, v)
		if err != nil {
			return nil, err
		}
		var files folder.Files
		for _, f := range got.Contents {
			files = append(files, folder.File{Path: f.Path, Text: []byte(f.Text)})
		}
		f, _ := folder.Read(files)
		return f, nil
	}
	f, problems, dir, err := readFolder([]string{arg})
	if err == nil && len(problems) > 0 {
		c.printProblems(dir, problems)
		err = errSaid
	}
	return f, err
}

// sendable reads a folder for the server, which judges it itself as well.
func (c *console) sendable(dir string) ([]api.PolicyFile, error) {
	f, problems, dir, err := readFolder([]string{dir})
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		c.printProblems(dir, problems)
		return nil, errSaid
	}
	var files []api.PolicyFile
	for _, x := range f.Files {
		files = append(files, api.PolicyFile{Path: x.Path, Text: string(x.Text)})
	}
	return files, nil
}

func (c *console) policyPlan() *cobra.Command {
	var days int
	cmd := c.action("plan DIR", "Say what a folder would do: asks the decisions of the last days again and names who gains and who loses which access", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			files, err := c.sendable(args[0])
			if err != nil {
				return err
			}
			p, err := cl.Policies.Plan(ctx, api.PolicyPlanRequest{Files: files, Days: days})
			if err != nil {
				return err
			}
			if c.output == "json" || c.output == "yaml" {
				err = c.write(p, nil)
			} else {
				c.printPlan(args[0], days, &p)
			}
			return errors.Join(err, failUnless(p.OK))
		})
	cmd.Flags().IntVar(&days, "days", 7, "how far to look back")
	return cmd
}

func (c *console) printPlan(dir string, days int, p *api.PolicyPlan) {
	var problems folder.Problems
	for _, x := range p.Problems {
		problems = append(problems, folder.Problem(x))
	}
	c.printProblems(dir, problems)
	r := &folder.Report{}
	for _, x := range p.Failures {
		r.Failures = append(r.Failures, folder.Failure(x))
	}
	c.printTests(dir, r, false)
	if p.Base == 0 {
		fmt.Fprintln(c.out, "The realm has no policy yet.")
	} else {
		fmt.Fprintf(c.out, "Compared with version %d:\n", p.Base)
	}
	for _, d := range p.Differences {
		fmt.Fprintln(c.out, "  "+cell(d.Words))
	}
	if len(p.Differences) == 0 {
		fmt.Fprintln(c.out, "  nothing differs")
	}
	if !p.OK {
		return
	}
	partial := ""
	if p.Partial {
		partial = ", the newest of more"
	}
	fmt.Fprintf(c.out, "%d decisions since %s asked again%s.\n", p.Decisions, moment(p.Since), partial)
	c.printEffects("gains", c.yellow, p.Gains, p.GainCount)
	c.printEffects("loses", c.red, p.Losses, p.LossCount)
	c.printEffects("can step up otherwise for", c.yellow, p.StepUps, p.StepUpCount)
	if p.GainCount+p.LossCount+p.StepUpCount == 0 {
		fmt.Fprintln(c.out, c.green("Nobody gains or loses anything that was asked for."))
	}
	if p.More {
		fmt.Fprintln(c.out, c.yellow("And more: this changes more than anybody reads line by line."))
	}
	c.printOwnPlan(p.Own)
	if p.Drifted > 0 {
		fmt.Fprintf(c.out, "%d are answered differently by now, because facts changed since.\n", p.Drifted)
	}
	back := ""
	if days != 7 {
		back = fmt.Sprintf(" --days %d", days)
	}
	fmt.Fprintf(c.out, "Apply exactly this: cardea policy apply %s --plan %s%s\n", dir, p.Hash, back)
}

func (c *console) printEffects(verb string, paint func(string) string, list []api.PolicyEffect, count int) {
	for _, e := range list {
		fmt.Fprintf(c.out, "  %s %s %s on %s (%d times, last %s)\n", entityText(e.Subject), paint(verb), cell(e.Action), entityText(e.Resource), e.Times, moment(e.LastAt))
		why := e.After
		if len(e.After) == 0 {
			why = e.Before
		}
		for _, reason := range why {
			fmt.Fprintf(c.out, "      %s\n", cell(reason))
		}
	}
	if more := count - len(list); more > 0 {
		fmt.Fprintf(c.out, "  and %d more\n", more)
	}
}

func entityText(e api.PolicyEntity) string { return cell(e.Type) + " " + cell(fmt.Sprintf("%q", e.ID)) }

func (c *console) policyApply() *cobra.Command {
	var a api.PolicyApply
	cmd := c.action("apply DIR", "Make a folder the one that counts; it has to pass its tests", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			var err error
			if a.Files, err = c.sendable(args[0]); err != nil {
				return err
			}
			v, err := cl.Policies.Apply(ctx, a)
			if err != nil {
				return err
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&a.Plan, "plan", "", "apply only if the plan would come out with this hash now")
	cmd.Flags().IntVar(&a.Days, "days", 7, "how far that plan looked back")
	cmd.Flags().StringVar(&a.Message, "message", "", "why")
	return cmd
}

func (c *console) policyList() *cobra.Command {
	columns := []column[api.PolicyVersion]{
		{"VERSION", func(v api.PolicyVersion) string { return fmt.Sprint(v.Number) }},
		{"HASH", func(v api.PolicyVersion) string { return v.Hash[:min(12, len(v.Hash))] }},
		{"TESTS", func(v api.PolicyVersion) string { return fmt.Sprint(v.Tests) }},
		{"BY", func(v api.PolicyVersion) string { return strings.TrimSpace(v.By.Kind + " " + v.By.ID) }},
		{"APPLIED", func(v api.PolicyVersion) string { return moment(v.CreatedAt) }},
		{"MESSAGE", func(v api.PolicyVersion) string { return firstOf(v.Message, v.Origin) }},
	}
	return listing(c, "list", "List versions, the newest first", cobra.NoArgs, columns,
		func(ctx context.Context, cl *client.Client, _ []string, _ client.Filter, at client.Cursor) (api.Page[api.PolicyVersion], error) {
			return cl.Policies.List(ctx, at)
		})
}

func (c *console) policyShow() *cobra.Command {
	var to string
	var builtIn bool
	cmd := c.action("show [VERSION]", "Show a version, or the one that counts, and its files", cobra.MaximumNArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			if builtIn {
				return c.showBuiltIn(cl.Policies.BuiltIn(ctx))
			}
			v, err := cl.Policies.Get(ctx, firstOf(append(args, "current")...))
			if err != nil {
				return err
			}
			if to != "" {
				return c.saveFolder(to, v)
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&to, "write", "", "write its files into this new directory")
	cmd.Flags().BoolVar(&builtIn, "built-in", false, "show the policies about Cardea's own administration, and what the realm adds to them")
	cmd.MarkFlagsMutuallyExclusive("built-in", "write")
	return cmd
}

// saveFolder writes the files of a version into a directory that is not there yet.
func (c *console) saveFolder(dir string, v api.PolicyVersion) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range v.Contents {
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(f.Path)), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(filepath.FromSlash(f.Path), []byte(f.Text), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "version %d: %d files in %s\n", v.Number, len(v.Contents), dir)
	return nil
}

func (c *console) showVersion(v api.PolicyVersion) error {
	return c.write(v, func(w io.Writer) {
		facts(w, "version", fmt.Sprint(v.Number), "hash", v.Hash, "files", fmt.Sprint(v.Files), "tests", fmt.Sprint(v.Tests), "message", v.Message,
			"origin", v.Origin, "plan", v.Plan, "by", strings.TrimSpace(v.By.Kind+" "+v.By.ID), "applied", moment(v.CreatedAt))
		for _, f := range v.Contents {
			fmt.Fprintf(w, "\n==> %s\n%s", cell(f.Path), lines(strings.ReplaceAll(f.Text, "\t", "    ")))
		}
	})
}

func (c *console) policyRollback() *cobra.Command {
	var message string
	cmd := c.action("rollback VERSION", "Apply an old version anew, at once and without running its tests", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, args []string) error {
			v, err := cl.Policies.Rollback(ctx, args[0], message)
			if err != nil {
				return err
			}
			return c.showVersion(v)
		})
	cmd.Flags().StringVar(&message, "message", "", "why")
	return cmd
}

func (c *console) policyFollow() *cobra.Command {
	var s api.PolicySourcePut
	var git, directory, password string
	var stop, now bool
	cmd := c.action("follow", "Follow a Git repository or a directory of the server; without flags, show what is followed and how it is", cobra.NoArgs,
		func(ctx context.Context, cl *client.Client, _ []string) error {
			switch {
			case boolCount(git != "", directory != "", stop, now) > 1:
				return errUsage{errors.New("give one of --git, --directory, --now and --stop")}
			case stop:
				if err := cl.Policies.Unfollow(ctx); err != nil {
					return err
				}
				fmt.Fprintln(c.out, "Nothing is followed any more; what was applied stays.")
				return nil
			case now:
				return c.showPolicySource(cl.Policies.Look(ctx))
			case git == "" && directory == "":
				return c.showPolicySource(cl.Policies.Source(ctx))
			}
			if s.Kind, s.Location = "git", git; directory != "" {
				s.Kind, s.Location = "directory", directory
			}
			if password != "" {
				text, err := os.ReadFile(password)
				if err != nil {
					return errUsage{err}
				}
				s.Password = strings.TrimSpace(string(text))
			}
			return c.showPolicySource(cl.Policies.Follow(ctx, s))
		})
	f := cmd.Flags()
	f.StringVar(&git, "git", "", "https address of the repository")
	f.StringVar(&s.Branch, "branch", "", "branch; the default one if absent")
	f.StringVar(&s.Folder, "folder", "", "folder within the repository")
	f.StringVar(&s.Username, "username", "", "for the repository")
	f.StringVar(&password, "password-file", "", "file with the password or access token for the repository")
	f.StringVar(&directory, "directory", "", "absolute path on the server, below one of its setting policies.directories")
	f.Int64Var(&s.Seconds, "seconds", 0, "between two looks (default 60, of a directory 5)")
	f.BoolVar(&now, "now", false, "look now, and again at what was refused")
	f.BoolVar(&stop, "stop", false, "follow nothing any more")
	return cmd
}

func boolCount(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

func (c *console) showPolicySource(s api.PolicySource, err error) error {
	if err != nil {
		return err
	}
	err = c.write(s, func(w io.Writer) {
		version := ""
		if s.Version > 0 {
			version = fmt.Sprint(s.Version)
		}
		facts(w, "kind", s.Kind, "location", s.Location, "branch", s.Branch, "folder", s.Folder, "username", s.Username, "password", yes(s.HasPassword), "every", fmt.Sprintf("%d s", s.Seconds),
			"looked", optionalMoment(s.CheckedAt), "found", s.Seen, "state", s.State, "since", moment(s.SinceAt), "version", version)
		if s.Detail != "" {
			fmt.Fprintf(w, "\n%s\n", lines(s.Detail))
		}
	})
	return errors.Join(err, failUnless(s.State != "refused" && s.State != "unreachable"))
}
