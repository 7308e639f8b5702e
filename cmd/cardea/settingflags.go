package main

import (
	"maps"
	"os"
	"slices"

	"github.com/spf13/pflag"
)

// settingFlags are flags of which each sets one field of a record: those that
// were given change it, the others leave it as it is.
type settingFlags[S any] struct {
	flags *pflag.FlagSet
	given map[string]func(*S) error
}

func newSettingFlags[S any](flags *pflag.FlagSet) settingFlags[S] {
	return settingFlags[S]{flags, map[string]func(*S) error{}}
}

func (f settingFlags[S]) text(name, help string, field func(*S) *string) {
	value := f.flags.String(name, "", help)
	f.given[name] = func(s *S) error { *field(s) = *value; return nil }
}

func (f settingFlags[S]) words(name, help string, field func(*S) *[]string) {
	value := f.flags.StringSlice(name, nil, help)
	f.given[name] = func(s *S) error { *field(s) = *value; return nil }
}

func (f settingFlags[S]) yes(name, help string, field func(*S) *bool) {
	value := f.flags.Bool(name, false, help)
	f.given[name] = func(s *S) error { *field(s) = *value; return nil }
}

func (f settingFlags[S]) number(name, help string, field func(*S) *int64) {
	value := f.flags.Int64(name, 0, help)
	f.given[name] = func(s *S) error { *field(s) = *value; return nil }
}

// file is text that a file holds.
func (f settingFlags[S]) file(name, help string, field func(*S) *string) {
	path := f.flags.String(name, "", help)
	f.given[name] = func(s *S) error {
		data, err := os.ReadFile(*path)
		*field(s) = string(data)
		return err
	}
}

// onto changes a record by the flags that were given.
func (f settingFlags[S]) onto(s *S) error {
	for _, name := range slices.Sorted(maps.Keys(f.given)) {
		if !f.flags.Changed(name) {
			continue
		}
		if err := f.given[name](s); err != nil {
			return err
		}
	}
	return nil
}
