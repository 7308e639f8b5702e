package demo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed templates assets
var files embed.FS

// app is the web application: a relying party that keeps its tokens on the
// server and gives the browser nothing but a cookie of its own.
type app struct {
	provider *provider
	sessions sessions
	api      *http.Client
	url      string
	apiURL   string
	issuer   string
	page     *template.Template
	log      *slog.Logger
	csrf     *http.CrossOriginProtection
}

func newApp(c Config) (http.Handler, error) {
	page, err := template.New("").Funcs(template.FuncMap{"pretty": pretty, "moment": moment, "plain": plain}).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	a := &app{
		provider: newProvider(c), api: &http.Client{Timeout: 5 * time.Second},
		url: c.AppURL, apiURL: c.APIURL, issuer: c.Issuer,
		page: page, log: c.Log, csrf: http.NewCrossOriginProtection(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /signin", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("GET /clock", a.clock)
	mux.HandleFunc("POST /revoke", a.revoke)
	mux.HandleFunc("POST /signout", a.signOut)
	mux.Handle("GET /assets/", http.FileServerFS(files))
	return a.csrf.Handler(secured(mux, c.Issuer)), nil
}

// secured sets what keeps the pages from being misused: nothing inline,
// nothing foreign, no frames. The sign-out form leads on to the issuer.
func secured(next http.Handler, issuer string) http.Handler {
	u, _ := url.Parse(issuer)
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + u.Scheme + "://" + u.Host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// view is what the page shows.
type view struct {
	Issuer, APIURL string
	SignedIn       bool
	Name           string
	IDToken        claims
	Access         accessToken
	StatusList     string
	Result         *revocation
	Problem        string
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	a.show(w, http.StatusOK, a.view(a.sessions.of(r)))
}

func (a *app) view(s *session) view {
	v := view{Issuer: a.issuer, APIURL: a.apiURL}
	if s == nil || s.tokens == nil {
		return v
	}
	v.SignedIn, v.Name, v.IDToken, v.Access = true, s.name, s.idToken, s.access
	if status, ok := s.access.Payload["status"].(map[string]any); ok {
		list, _ := status["status_list"].(map[string]any)
		v.StatusList = claims(list).text("uri")
	}
	return v
}

func (a *app) show(w http.ResponseWriter, status int, v view) {
	var page bytes.Buffer
	if err := a.page.ExecuteTemplate(&page, "home.html", v); err != nil {
		a.log.Error("demo page", "error", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

func (a *app) fail(w http.ResponseWriter, r *http.Request, status int, problem string) {
	v := a.view(a.sessions.of(r))
	v.Problem = problem
	a.show(w, status, v)
}

// pretty prints claims as JSON with sorted keys.
func pretty(c claims) string {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// moment says what a claim in seconds since 1970 means, or nothing.
func moment(name string, value any) string {
	seconds, ok := value.(float64)
	if !ok || (name != "exp" && name != "iat" && name != "auth_time" && name != "nbf") {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format("15:04:05 UTC")
}

// plain writes the value of a claim for people: a list without brackets.
func plain(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	words := make([]string, len(list))
	for i, one := range list {
		words[i] = fmt.Sprint(one)
	}
	return strings.Join(words, ", ")
}
