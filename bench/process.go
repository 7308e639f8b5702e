package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A process is a server under measurement, with its log in a file.
type process struct {
	address string // host:port
	pid     int
	log     string
	cmd     *exec.Cmd
}

// start runs a server, its output in a file of its own, and waits until a
// line of it carries an address behind prefix.
func start(ctx context.Context, dir, name, prefix string, env []string, binary string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(dir, name+".log"), cmd: exec.Command(binary, args...)}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(os.Environ(), env...), log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if address, ok := strings.CutPrefix(line, prefix); ok {
				p.address = strings.TrimSpace(address)
				return p, nil
			}
		}
		if err := syscall.Kill(p.pid, 0); err != nil {
			break
		}
		<-tick.C
	}
	p.stop()
	text, _ := os.ReadFile(p.log)
	return nil, fmt.Errorf("%s did not become ready: %s", name, text)
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
}

// freePort asks the kernel for a port that nobody uses at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits for an address to answer 200, and says how long that took.
func ready(ctx context.Context, url string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(began), nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, errors.New(url + " does not answer")
		case <-tick.C:
		}
	}
}
