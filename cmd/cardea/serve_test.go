package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain is the program itself for tests that need a process of it.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_CARDEA_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Take signal.Notify out of serveCommand to see it fail.
func TestAHangupDoesNotEndTheServer(t *testing.T) {
	cmd := exec.Command(os.Args[0], "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TEST_CARDEA_MAIN=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, at := bufio.NewScanner(out), ""
	for at == "" && lines.Scan() {
		_, at, _ = strings.Cut(lines.Text(), "ready on ")
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	if res, err := http.Get(at + "/healthz"); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	for lines.Scan() { // until it has closed its end
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to stop, it says: %v", err)
	}
}
