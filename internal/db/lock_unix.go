//go:build unix

package db

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the file's lock for as long as the process lives, or says who holds it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w (does the folder exist, and may this user write there?)", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b := make([]byte, 20)
		n, _ := f.Read(b)
		f.Close()
		return nil, fmt.Errorf("%s is in use by another process (pid %s): one process per SQLite file; stop it, or use PostgreSQL for several nodes", path, strings.TrimSpace(string(b[:n])))
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
