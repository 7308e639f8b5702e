package config

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// DatabaseURL is what the database is opened with: the PostgreSQL URL or the
// path of the SQLite file.
func (c *Config) DatabaseURL() string {
	if c.Database.URL != "" {
		return string(c.Database.URL)
	}
	return filepath.Join(c.Data, "cardea.db")
}

// PrepareData makes the data folder, and refuses one, or a database file, that
// other users of the machine can read or change.
func (c *Config) PrepareData() error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if c.Postgres() {
		return nil
	}
	file := c.DatabaseURL()
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("database folder: %w", err)
	}
	return checkDatabaseFile(file)
}

// checkDatabaseFile refuses a database that others can get at: the folder is
// open to them and so is the file, or they could put another in its place.
func checkDatabaseFile(file string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder := filepath.Dir(file)
	dir, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if dir.Mode().Perm()&0o002 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("folder %s can be written by everyone, who could replace the database (chmod 700 %s)", folder, folder)
	}
	if dir.Mode().Perm()&0o011 == 0 {
		return nil
	}
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o007 != 0 {
			return fmt.Errorf("database %s can be read by everyone on this machine (chmod 600 %s, or chmod 700 %s)", name, name, folder)
		}
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return createPrivate(file)
	}
	return nil
}

// createPrivate makes an empty file that only we can read, so that SQLite
// gives its write-ahead log the same mode.
func createPrivate(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// checkSecretFile refuses a secret that everyone on the machine can read, or
// that a group can change. A group may read it: that is how secrets are
// mounted for a service user.
func checkSecretFile(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, withoutPath(err))
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return fmt.Errorf("%s has mode %04o; others could read or change this secret (chmod 600 %s)", name, mode, name)
	}
	return nil
}

// ReadMasterKey gives the 32 bytes that protect secrets at rest: those that
// were configured or, on a development node, those in master.key of the data
// folder, which is made on first use.
func (c *Config) ReadMasterKey() ([]byte, error) {
	if c.MasterKey != "" {
		return decodeMasterKey(string(c.MasterKey))
	}
	if c.Production() {
		return nil, errors.New("a production node needs a master key (CARDEA_MASTER_KEY_FILE)")
	}
	file := filepath.Join(c.Data, "master.key")
	if err := writeNewKey(file); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if err := checkSecretFile(file); err != nil {
		return nil, fmt.Errorf("master key %w", err)
	}
	data, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := decodeMasterKey(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// writeNewKey makes a key file if there is none. It is written beside its
// place and linked into it, so that a crash leaves no half of a key.
func writeNewKey(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	tmp, err := os.CreateTemp(filepath.Dir(file), ".master-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func decodeMasterKey(text string) ([]byte, error) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == 32 {
			return key, nil
		}
	}
	return nil, errors.New("want 32 bytes as base64 or hexadecimal, for example from `openssl rand -base64 32`")
}
