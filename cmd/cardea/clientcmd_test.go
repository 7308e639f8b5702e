package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/cardea-id/cardea/api"
)

func TestAFileSaysWhichOfItsSettingsThereIsNot(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f := newClientFlags(flags)
	if err := flags.Parse([]string{"--file", "-"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.onto(api.ClientSettings{}, strings.NewReader(`{"name":"Shop","colour":"red"}`))
	if err == nil || err.Error() != `-: there is no setting "colour"` {
		t.Errorf("got %v", err)
	}
}
