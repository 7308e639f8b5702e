package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/fault"
)

// console is what commands see of the world outside.
type console struct {
	getenv      func(string) string
	in          io.Reader
	out, err    io.Writer
	environment []string // the names in the environment
	openBrowser func(url string) error

	remote remote // how to reach a server, for the administering commands
	output string // table, json or yaml
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "cardea",
		Short: "Identity and access in one binary",
		Long: `Cardea signs people and programs in, and answers what they may do.

Try it with "cardea dev", run it with "cardea serve", and administer it, from any
machine, after "cardea login".`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run a server:"},
		&cobra.Group{ID: "login", Title: "Sign in as an administrator:"},
		&cobra.Group{ID: "admin", Title: "Administer a realm:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
			if group == "admin" {
				c.completes(cmd)
			}
		}
	}
	add("run", c.serveCommand(), c.edgeCommand(), c.devCommand(), c.migrateCommand(), c.setupCommand(), c.breakGlassCommand(), c.configCommand(),
		c.healthcheckCommand(), c.doctorCommand(), c.seedCommand(), c.versionCommand())
	add("login", c.loginCommand(), c.logoutCommand(), c.whoamiCommand())
	add("admin", c.userCommand(), c.groupCommand(), c.organizationCommand(), c.serviceCommand(), c.clientCommand(), c.authorizationDetailTypeCommand(), c.initialTokenCommand(), c.invitationCommand(), c.termsCommand(),
		c.signingKeyCommand(), c.sessionCommand(), c.grantCommand(), c.consentCommand(), c.jobCommand(), c.mailCommand(), c.incidentCommand(), c.relationCommand(), c.attributeCommand(), c.sourceCommand(), c.policyCommand(), c.agentCommand(), c.realmCommand(),
		c.trustedIssuerCommand(), c.operatorCommand(), c.eventCommand(), c.activityCommand(), c.accessCommand(), c.whyCommand(), c.askCommand())
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.InitDefaultCompletionCmd() // which looks where output goes
	root.InitDefaultHelpCmd()
	helpOfCommands(root)
	root.SetUsageTemplate(onlyCommands(root.UsageTemplate()))
	usage(root)
	return root
}

// settings are the configuration flags of the commands that run a server.
type settings struct {
	file  string
	flags map[string]*string
}

// addSettings gives cmd one flag for each setting.
func addSettings(cmd *cobra.Command) *settings {
	s := &settings{flags: map[string]*string{}}
	f := cmd.Flags()
	f.StringVar(&s.file, "config", "", "configuration file (default "+config.DefaultFile+" if there is one)")
	for _, field := range config.Fields() {
		name, help := field.Flag, field.Help
		if field.Secret {
			name, help = field.FileFlag(), "file with the "+field.Help
		}
		s.flags[name] = f.String(name, field.Default, help)
	}
	return s
}

// load reads the configuration for a command whose flags were parsed.
func (c *console) load(cmd *cobra.Command, s *settings) (*config.Config, error) {
	given := map[string]string{}
	for name, value := range s.flags {
		if cmd.Flags().Changed(name) {
			given[name] = *value
		}
	}
	return config.Load(config.Input{File: s.file, Getenv: c.getenv, Names: c.environment, Flags: given})
}

// explain words an error for the terminal.
func (c *console) explain(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return "the configuration cannot be used:\n" + problems.Error()
	}
	var p *client.Problem
	if errors.As(err, &p) {
		if advice := c.adviceOn(p); advice != "" {
			return err.Error() + " (" + advice + ")"
		}
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "the server did not answer in time"
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		if u, e := url.Parse(asked.URL); e == nil && u.Host != "" {
			return u.Scheme + "://" + u.Host + " does not answer: " + asked.Err.Error()
		}
	}
	return err.Error()
}

// adviceOn says what to do about whom the server would not let ask. A login does
// not help as long as a token is given, which goes first.
func (c *console) adviceOn(p *client.Problem) string {
	_, stepUp := p.StepUp()
	token, instead := "the token in "+c.remote.given, "or unset "+c.remote.given+" and run cardea login"
	if c.remote.given == "--token" {
		token, instead = "the token given by --token", "or run cardea login and leave out --token"
	}
	switch {
	case p.Code == "not_an_operator" && c.remote.given != "":
		return token + " belongs to an account that is none: give one of an operator's, " + instead
	case p.Code == "not_an_operator":
		return "this account is none: choose another in the browser, at /accounts of the server, and run cardea login"
	case p.Status != http.StatusUnauthorized:
		return ""
	case c.remote.given == "":
		return "run: cardea login"
	case stepUp:
		return token + " does not show such a sign-in: give one that does, " + instead
	}
	return token + " was refused, it may have expired or been revoked: give a new one, " + instead
}
