package config

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"errors"
)

// DefaultFile is read from the working directory when no file is named.
const DefaultFile = "cardea.yaml"

// maxFile bounds what is read of a configuration or secret file.
const maxFile = 1 << 20

// Input is where settings come from.
type Input struct {
	File   string                   // the file that was asked for; empty: cardea.yaml if there is one
	Getenv func(name string) string // nil: no environment
	Names  []string                 // of the whole environment, to find those that are mistyped
	Flags  map[string]string        // the flags that were given, by name without dashes
}

// Problem is one thing wrong with the configuration.
type Problem struct {
	Where   string // "cardea.yaml:3:9", "CARDEA_LISTEN", "--listen" or "issuer"
	Message string
}

// Problems is everything wrong with the configuration, as one error.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.Where + ": " + x.Message
	}
	return strings.Join(lines, "\n")
}

// Load reads the configuration. The error, if any, is Problems and names
// everything that is wrong.
func Load(in Input) (*Config, error) {
	c := &Config{origins: map[string]string{}}
	var problems Problems
	report := func(where, format string, args ...any) {
		problems = append(problems, Problem{where, fmt.Sprintf(format, args...)})
	}
	getenv := in.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}

	for _, f := range Fields() {
		if f.Default == "" {
			continue
		}
		if err := set(c.value(f), f.Default); err != nil {
			report(f.Key, "default: %v", err)
		}
	}
	c.readFile(in.File, getenv("CARDEA_CONFIG"), report)
	for _, f := range Fields() {
		c.readEnv(f, getenv, report)
		c.readFlags(f, in.Flags, report)
	}
	c.strangers = strangers(in.Names)
	c.validate(report)

	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// strangers are names that look like those of settings and are none. What the
// commands themselves take, tests, and what Kubernetes tells of a service that
// is called cardea are not among them.
func strangers(names []string) (list []string) {
	known := []string{"CARDEA_CONFIG", "CARDEA_HOME", "CARDEA_TOKEN", "CARDEA_DEMO_PASSWORD"}
	for _, f := range Fields() {
		known = append(known, f.Env)
		if f.Secret {
			known = append(known, f.Env+"_FILE")
		}
	}
	for _, name := range names {
		rest, ours := strings.CutPrefix(name, "CARDEA_")
		if !ours || slices.Contains(known, name) || strings.HasPrefix(rest, "TEST_") || strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT") {
			continue
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

type reporter func(where, format string, args ...any)

func (c *Config) readFile(asked, env string, report reporter) {
	name := asked
	if name == "" {
		name = env
	}
	optional := name == ""
	if optional {
		name = DefaultFile
	}
	data, err := readBounded(name)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		report(name, "%v", withoutPath(err))
		return
	}
	c.apply(name, data, report)
}

func (c *Config) readEnv(f Field, getenv func(string) string, report reporter) {
	v, file := getenv(f.Env), ""
	if f.Secret {
		file = getenv(f.Env + "_FILE")
	}
	switch {
	case v != "" && file != "":
		report(f.Env, "is set together with %s_FILE; keep one of them", f.Env)
	case file != "":
		c.setFromFile(f, f.Env+"_FILE", file, report)
	case v != "":
		c.setFrom(f, f.Env, v, report)
	}
}

func (c *Config) readFlags(f Field, flags map[string]string, report reporter) {
	if f.Secret {
		if file, ok := flags[f.FileFlag()]; ok {
			c.setFromFile(f, "--"+f.FileFlag(), file, report)
		}
		return
	}
	if v, ok := flags[f.Flag]; ok {
		c.setFrom(f, "--"+f.Flag, v, report)
	}
}

func (c *Config) setFrom(f Field, where, text string, report reporter) {
	if err := set(c.value(f), text); err != nil {
		report(where, "%v", err)
		return
	}
	c.origins[f.Key] = where
}

func (c *Config) setFromFile(f Field, where, name string, report reporter) {
	if err := checkSecretFile(name); err != nil {
		report(where, "%v", err)
		return
	}
	data, err := readBounded(name)
	if err != nil {
		report(where, "%s: %v", name, withoutPath(err))
		return
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		report(where, "%s is empty", name)
		return
	}
	c.setFrom(f, where, value, report)
}

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a folder")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	return os.ReadFile(name)
}

// withoutPath drops the operation and path that os errors repeat.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
