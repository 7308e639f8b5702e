package main

import (
	"strings"
	"sync"
)

// maxNotes bounds what is kept of one person.
const maxNotes = 100

// notes are kept in memory, each person's apart by the subject of their token.
type notes struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *notes) list(person string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.of[person]) == 0 {
		return "There are no notes yet."
	}
	return strings.Join(n.of[person], "\n")
}

func (n *notes) add(person, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := append(n.of[person], text)
	n.of[person] = list[max(0, len(list)-maxNotes):]
}
