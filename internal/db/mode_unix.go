//go:build unix

package db

// anyMode says that file modes mean nothing on this system.
const anyMode = false
