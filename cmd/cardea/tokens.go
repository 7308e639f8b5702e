package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// login is what one cardea login left behind.
type login struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token,omitempty"`
	Expires time.Time `json:"expires"`
	Device  bool      `json:"device,omitempty"` // made in a browser on another device
}

// tokenStore is the file with the logins of this user, readable by nobody else.
type tokenStore struct {
	Current string           `json:"current,omitempty"`
	Logins  map[string]login `json:"logins"`

	path string
}

func (c *console) tokenPath() (string, error) {
	if dir := c.getenv("CARDEA_HOME"); dir != "" {
		return filepath.Join(dir, "logins.json"), nil
	}
	dir := c.getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "cardea", "logins.json"), nil
}

// tokens reads the logins. A file that others can read is refused.
func (c *console) tokens() (*tokenStore, error) {
	path, err := c.tokenPath()
	if err != nil {
		return nil, err
	}
	s := &tokenStore{Logins: map[string]login{}, path: path}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o; others could use your logins (chmod 600 %s)", path, info.Mode().Perm(), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w (delete it and log in again)", path, err)
	}
	if s.Logins == nil {
		s.Logins = map[string]login{}
	}
	return s, nil
}

// save replaces the file at once, so that no reader sees half of it.
func (s *tokenStore) save() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.path), ".logins-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), s.path)
}

// lockTokens keeps two commands from refreshing one login at the same time,
// which would look like a stolen refresh token.
func (c *console) lockTokens() (unlock func(), err error) {
	path, err := c.tokenPath()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return lockFile(path + ".lock")
}
