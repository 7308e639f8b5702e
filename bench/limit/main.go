// Command limit is the yardstick that Cardea is measured with: plain net/http doing
// the least that the same answers can cost. Whoever is faster does less than they need.
package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"flag"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite"
)

type limit struct {
	key                        *ecdsa.PrivateKey
	box                        cipher.AEAD
	active                     map[string][]byte
	insert                     func(rows ...row) error // in one commit
	logMu                      sync.Mutex
	payload, logLine, logBytes []byte
	digest                     [32]byte // with its signature, for the one proof there is
	proof                      []byte
}

// row is what a statement writes.
type row struct {
	text string
	args []any
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	database := flag.String("database", "", "postgres:// URL or SQLite file")
	bodies := flag.String("bodies", "", "folder with discovery.json, jwks.json, introspect.json, userinfo.json, decision.json, decisions.json, signin.html as Cardea answers them")
	payload := flag.Int("payload", 420, "bytes of an access token's payload")
	logBytes := flag.Int("log-bytes", 300, "bytes of log per request")
	flag.Parse()
	debug.SetGCPercent(400) // as Cardea does
	l := &limit{payload: bytes.Repeat([]byte("x"), *payload), logLine: bytes.Repeat([]byte("l"), *logBytes), active: map[string][]byte{}}
	l.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.proof, _ = ecdsa.SignASN1(rand.Reader, l.key, l.digest[:])
	block, _ := aes.NewCipher(make([]byte, 32))
	l.box, _ = cipher.NewGCM(block)
	var err error
	if l.insert, err = open(*database); err != nil {
		log.Fatal(err)
	}
	body := func(name string) []byte {
		text, _ := os.ReadFile(*bodies + "/" + name)
		return text
	}
	discovery, jwks := body("discovery.json"), body("jwks.json")
	l.active["introspect"], l.active["userinfo"], l.active["signin"] = body("introspect.json"), body("userinfo.json"), body("signin.html")
	go l.writeLog()
	http.HandleFunc("/raw", func(w http.ResponseWriter, r *http.Request) { answer(w, discovery) })
	http.HandleFunc("GET /discovery", l.logged(func(w http.ResponseWriter, r *http.Request) { answer(w, discovery) }))
	http.HandleFunc("GET /jwks", l.logged(func(w http.ResponseWriter, r *http.Request) { answer(w, jwks) }))
	for path, token := range map[string]func() string{"POST /jwt": l.sign, "POST /opaque": l.seal} {
		http.HandleFunc(path, l.logged(func(w http.ResponseWriter, r *http.Request) { answer(w, tokenAnswer(token(), "", "")) }))
	}
	http.HandleFunc("/active/{what}", l.logged(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		answer(w, l.active[r.PathValue("what")])
	}))
	http.HandleFunc("POST /refresh", l.logged(func(w http.ResponseWriter, r *http.Request) {
		answer(w, tokenAnswer(l.sign(), l.store("cdr_"), l.sign()))
	}))
	http.HandleFunc("GET /authorize", l.logged(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://127.0.0.1/callback?code="+l.store("cdc_")+"&state="+r.URL.Query().Get("state"))
		w.WriteHeader(http.StatusSeeOther)
	}))
	l.more(body)
	listener, _ := net.Listen("tcp", *listen)
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// same are the header lines of Cardea's answers: the same answer is the same bytes.
var same = map[string][]string{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"}, "X-Content-Type-Options": {"nosniff"},
	"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}}

func answer(w http.ResponseWriter, body []byte) {
	maps.Copy(w.Header(), same)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
}

func tokenAnswer(access, refresh, id string) []byte {
	return []byte(`{"access_token":"` + access + `","token_type":"Bearer","expires_in":600,"refresh_token":"` + refresh + `","id_token":"` + id + `"}`)
}

// sign makes a token like Cardea's: one ES256 signature over header and payload.
func (l *limit) sign() string {
	text := "eyJhbGciOiJFUzI1NiIsImtpZCI6IjAxMjM0NTY3ODlhYmNkZWYiLCJ0eXAiOiJhdCtqd3QifQ." + base64.RawURLEncoding.EncodeToString(l.payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, l.key, digest[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (l *limit) seal() string {
	nonce := []byte(rand.Text()[:12])
	return "cdo_" + base64.RawURLEncoding.EncodeToString(l.box.Seal(nonce, nonce, l.payload[:len(l.payload)/2], nil))
}

const table, insert = `CREATE TABLE IF NOT EXISTS tokens (hash BYTEA PRIMARY KEY, at BIGINT)`, `INSERT INTO tokens VALUES ($1, 1)`

// store makes a secret and returns once its hash is on disk.
func (l *limit) store(prefix string) string {
	token, hash := newToken(prefix)
	if err := l.insert(row{insert, []any{hash}}); err != nil {
		panic(err)
	}
	return token
}

func newToken(prefix string) (token string, hash []byte) {
	token = prefix + rand.Text() + rand.Text()
	return token, sum(token, "")
}

func sum(token, what string) []byte {
	hash := sha256.Sum256([]byte(token + what))
	return hash[:]
}

// logged notes as many bytes per request as Cardea does.
func (l *limit) logged(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		next(w, r)
		l.logMu.Lock()
		l.logBytes = append(l.logBytes, l.logLine...)
		l.logMu.Unlock()
	}
}

func (l *limit) writeLog() {
	for range time.Tick(50 * time.Millisecond) {
		l.logMu.Lock()
		page := l.logBytes
		l.logBytes = make([]byte, 0, cap(page))
		l.logMu.Unlock()
		_, _ = os.Stderr.Write(page)
	}
}

// open gives the cheapest durable insert: PostgreSQL as it is, or SQLite with
// synchronous=FULL and one commit for all who wait.
func open(url string) (func(...row) error, error) {
	if strings.HasPrefix(url, "postgres") {
		pool, err := pgxpool.New(context.Background(), url)
		for _, text := range append(passkeyTables, table) {
			if err == nil {
				_, err = pool.Exec(context.Background(), text)
			}
		}
		return func(rows ...row) error {
			if len(rows) == 1 {
				_, err := pool.Exec(context.Background(), rows[0].text, rows[0].args...)
				return err
			}
			var batch pgx.Batch // without a BEGIN it is one transaction all the same
			for _, r := range rows {
				batch.Queue(r.text, r.args...)
			}
			return pool.SendBatch(context.Background(), &batch).Close()
		}, err
	}
	d, err := sql.Open("sqlite", url+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	for _, text := range append(passkeyTables, table) {
		if err == nil {
			_, err = d.Exec(text)
		}
	}
	type wait = struct {
		rows []row
		done chan error
	}
	queue := make(chan wait, 1024)
	go func() {
		for first := range queue {
			batch := []wait{first}
			for len(queue) > 0 {
				batch = append(batch, <-queue)
			}
			tx, _ := d.Begin()
			for _, w := range batch {
				for _, r := range w.rows {
					_, _ = tx.Exec(r.text, r.args...)
				}
			}
			err := tx.Commit()
			for _, w := range batch {
				w.done <- err
			}
		}
	}()
	return func(rows ...row) error { w := wait{rows, make(chan error, 1)}; queue <- w; return <-w.done }, err
}
