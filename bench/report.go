package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A row is one line of the table: the same work on both servers.
type row struct {
	name          string
	conns         int
	cardea, limit result
	target        float64
}

func (r row) ratio() float64 { return r.cardea.perSecond / r.limit.perSecond }

func (r row) reached() bool { return r.ratio() >= r.target }

// printRows prints a table of what was measured of one server and of another.
func printRows(w io.Writer, rows []row, one, other string) {
	fmt.Fprintf(w, "| work | connections | %s: per second | p50 | p99 | CPU | %s: per second | p50 | p99 | CPU | ratio | CPU ratio | to reach | |\n", one, other)
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	for _, r := range rows {
		verdict := "yes"
		if !r.reached() {
			verdict = "**no**"
		}
		fmt.Fprintf(w, "| %s | %d | %.0f | %s | %s | %s | %.0f | %s | %s | %s | **%.2f** | %.2f | %.2f | %s |\n",
			r.name, r.conns, r.cardea.perSecond, ms(r.cardea.p50), ms(r.cardea.p99), us(r.cardea.cpu),
			r.limit.perSecond, ms(r.limit.p50), ms(r.limit.p99), us(r.limit.cpu),
			r.ratio(), float64(r.limit.cpu)/float64(r.cardea.cpu), r.target, verdict)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
func us(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }

// printMachine says what the figures were measured on.
func printMachine(w io.Writer) {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	fmt.Fprintf(w, "%d × %s, %s, commit %s\n", runtime.NumCPU(), model, runtime.Version(), strings.TrimSpace(string(commit)))
}
