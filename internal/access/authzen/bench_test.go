package authzen_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// BenchmarkDecision is a question over HTTP, beside a plain server that parses the
// same JSON with encoding/json and answers as many bytes. Both share the process
// with their clients, so that the true ratio is worse than the one seen here.
func BenchmarkDecision(b *testing.B) {
	e := apptest.Start(b, db.SQLite)
	d := prepare(b, e)
	body := object(`"subject":{"type":"user","id":"alice"}`, write, `"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}`, `"context":{"ip":"192.0.2.1","time":"1985-10-26T01:22-07:00"}`)
	answered := d.post("/evaluation", body)
	if !answered.decision() {
		b.Fatal(answered.Body)
	}
	limit := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var q struct {
			Subject, Resource struct {
				Type, ID   string
				Properties map[string]any
			}
			Action struct {
				Name       string
				Properties map[string]any
			}
			Context map[string]any
		}
		if json.Unmarshal(text, &q) != nil || q.Subject.ID == "" {
			w.WriteHeader(400)
			return
		}
		for name, values := range answered.Header() {
			w.Header()[name] = values
		}
		_, _ = w.Write(answered.Body.Bytes())
	})
	off := func() {
		rl, err := e.Realms.ByName(b.Context(), realm.Default)
		if err != nil {
			b.Fatal(err)
		}
		rl.Settings.DecisionLog = 0 // this process alone, for the comparison
	}
	for _, c := range []struct {
		name    string
		handler http.Handler
		before  func()
	}{{"limit", limit, nil}, {"cardea", e.Handler, nil}, {"cardea without the decision log", e.Handler, off}} {
		b.Run(c.name, func(b *testing.B) {
			if c.before != nil {
				c.before()
			}
			s := httptest.NewServer(c.handler)
			defer s.Close()
			request := []byte("POST " + authzen.Path + "/evaluation HTTP/1.1\r\nHost: " + strings.TrimPrefix(apptest.Issuer, "https://") + "\r\nAuthorization: Bearer " + d.token +
				"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", s.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				for pb.Next() {
					if err := exchange(conn, in, request); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// exchange sends a request and reads its answer, at little cost.
func exchange(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	line, err := in.ReadSlice('\n')
	if err != nil || !strings.Contains(string(line), "200") {
		return fmt.Errorf("%s %v", line, err)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(textproto.TrimString(value))
		}
	}
	_, err = in.Discard(length)
	return err
}
