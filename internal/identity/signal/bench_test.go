package signal_test

import (
	"bufio"
	"bytes"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/statuslist"
)

// BenchmarkFanOut measures from the log's record to the delta read at each of
// 1,000 connections, all in this process.
func BenchmarkFanOut(b *testing.B) {
	const connections = 1000
	i := newIssuer(b)
	client := &http.Client{Transport: &http.Transport{}}
	var arrived sync.WaitGroup
	var began atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var ends []func() error
	start := time.Now()
	for range connections {
		r, err := http.NewRequest("GET", i.site.URL+statuslist.StreamPath, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.SetBasicAuth("cli_api", "secret")
		res, err := client.Do(r)
		if err != nil || res.StatusCode != 200 {
			b.Fatal(err, res)
		}
		ends = append(ends, res.Body.Close)
		go func() {
			lines := bufio.NewReader(res.Body)
			for {
				line, err := lines.ReadSlice('\n')
				if err != nil && err != bufio.ErrBufferFull {
					return
				}
				if bytes.HasPrefix(line, []byte("event: delta")) {
					d := time.Since(start) - time.Duration(began.Load())
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
					arrived.Done()
				}
			}
		}()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	index := int64(0)
	for b.Loop() {
		arrived.Add(connections)
		began.Store(int64(time.Since(start)))
		i.kill(index % 1024)
		index++
		arrived.Wait()
	}
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
	client.CloseIdleConnections()
	for _, end := range ends {
		_ = end()
	}
}
