//go:build !unix

package db

import (
	"fmt"
	"os"
)

// lockFile takes the file's lock for as long as the process lives. Where there
// is no flock, a file that cannot be removed while open stands for the lock.
func lockFile(path string) (*os.File, error) {
	name := path + ".lock"
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("%s is in use by another process: one process per SQLite file; stop it, or use PostgreSQL for several nodes", path)
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
