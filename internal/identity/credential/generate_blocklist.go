//go:build ignore

// This program writes blocklist/passwords.txt. blocklist/README.md says how.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: go run generate_blocklist.go path/to/passwords.json")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var words []string
	if err := json.Unmarshal(b, &words); err != nil {
		return err
	}
	for i, w := range words {
		if strings.ContainsAny(w, "\r\n") || w == "" || w != strings.ToLower(w) {
			return fmt.Errorf("word %d, %q, is not one line in lower case", i, w)
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	text := "\n" + strings.Join(words, "\n") + "\n"
	return os.WriteFile("blocklist/passwords.txt", []byte(text), 0o644)
}
