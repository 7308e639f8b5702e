package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
)

const (
	maxForm   = 64 << 10
	maxParams = 128

	maxLargeForm   = 2 << 20
	maxLargeParams = 4096
)

// Params are the parameters of a query or a form, each named once.
type Params struct{ pairs []pair }

type pair struct{ name, value string }

// Get is the value of a parameter, "" when it is absent.
func (p Params) Get(name string) string {
	for i := range p.pairs {
		if p.pairs[i].name == name {
			return p.pairs[i].value
		}
	}
	return ""
}

// Has reports whether a parameter was sent, if only empty.
func (p Params) Has(name string) bool {
	return slices.ContainsFunc(p.pairs, func(x pair) bool { return x.name == name })
}

// All are the values of a parameter that may be repeated.
func (p Params) All(name string) []string {
	var all []string
	for _, x := range p.pairs {
		if x.name == name {
			all = append(all, x.value)
		}
	}
	return all
}

// Names are the names in the order in which they were sent.
func (p Params) Names() []string {
	names := make([]string, 0, len(p.pairs))
	for _, x := range p.pairs {
		if !slices.Contains(names, x.name) {
			names = append(names, x.name)
		}
	}
	return names
}

// Without are the parameters but for those named.
func (p Params) Without(names ...string) Params {
	left := Params{pairs: make([]pair, 0, len(p.pairs))}
	for _, x := range p.pairs {
		if !slices.Contains(names, x.name) {
			left.pairs = append(left.pairs, x)
		}
	}
	return left
}

// Form reads an application/x-www-form-urlencoded body of at most 64 KiB. It
// refuses any other type, malformed encoding, and a parameter sent twice unless
// it is in repeatable (RFC 6749, section 3.2).
func Form(w http.ResponseWriter, r *http.Request, repeatable ...string) (Params, error) {
	if err := mediaType(r, "application/x-www-form-urlencoded"); err != nil {
		return Params{}, err
	}
	body, err := readAll(w, r, maxForm, nil)
	if err != nil {
		return Params{}, err
	}
	return ParseParams(body, repeatable...)
}

// LargeForm is Form for what operators write at length: 2 MiB and 4,096 parameters.
// Read it once it is known who sends it.
func LargeForm(w http.ResponseWriter, r *http.Request, repeatable ...string) (Params, error) {
	if err := mediaType(r, "application/x-www-form-urlencoded"); err != nil {
		return Params{}, err
	}
	body, err := readAll(w, r, maxLargeForm, nil)
	if err != nil {
		return Params{}, err
	}
	return parseParams(body, maxLargeForm, maxLargeParams, repeatable...)
}

// Query reads the parameters of the URL, with the same strictness.
func Query(r *http.Request, repeatable ...string) (Params, error) {
	return ParseParams(r.URL.RawQuery, repeatable...)
}

// ParseParams reads parameters in the encoding of forms.
func ParseParams(s string, repeatable ...string) (Params, error) {
	return parseParams(s, maxForm, maxParams, repeatable...)
}

func parseParams(s string, size, most int, repeatable ...string) (Params, error) {
	p := Params{}
	if s == "" {
		return p, nil
	}
	if len(s) > size {
		return p, fault.New(fault.TooLarge, "too_large", "parameters are limited to %d bytes", size)
	}
	p.pairs = make([]pair, 0, min(strings.Count(s, "&")+1, most))
	for s != "" {
		var field string
		field, s, _ = strings.Cut(s, "&")
		if field == "" {
			continue
		}
		if len(p.pairs) == most {
			return Params{}, invalid("more than %d parameters", most)
		}
		name, value, _ := strings.Cut(field, "=")
		name, err1 := unescape(name)
		value, err2 := unescape(value)
		if err1 != nil || err2 != nil {
			return Params{}, invalid("a parameter is not properly encoded")
		}
		if !slices.Contains(repeatable, name) && p.Has(name) {
			return Params{}, invalid("parameter %q was sent more than once", clip(name))
		}
		p.pairs = append(p.pairs, pair{name, value})
	}
	return p, nil
}

var errEncoding = errors.New("not properly encoded")

// unescape decodes one name or value. Semicolons are plain characters, as
// browsers send them; text that is not UTF-8 or holds NUL is refused.
func unescape(s string) (string, error) {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] != '%' && s[i] != '+' && s[i] != 0 && s[i] < utf8.RuneSelf
	}
	if plain {
		return s, nil // as nearly all are
	}
	s, err := url.QueryUnescape(s)
	if err != nil {
		return "", err
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", errEncoding
	}
	return s, nil
}

func mediaType(r *http.Request, want string) error {
	if enc := r.Header["Content-Encoding"]; len(enc) > 0 && enc[0] != "" && enc[0] != "identity" {
		return invalid("a compressed body is not read here")
	}
	got := r.Header["Content-Type"]
	if len(got) == 1 && got[0] == want {
		return nil
	}
	other := invalid("the body must be of type %s, in UTF-8", want)
	if len(got) != 1 {
		return other
	}
	t, params, err := mime.ParseMediaType(got[0])
	charset := params["charset"]
	if err != nil || t != want || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return other
	}
	return nil
}

// readAll reads the body, at most limit bytes of it, into one string. Where room is
// enough it is read into that first, and nothing of it stays there.
func readAll(w http.ResponseWriter, r *http.Request, limit int64, room []byte) (string, error) {
	tooLarge := func() error {
		w.Header().Set("Connection", "close")
		return fault.New(fault.TooLarge, "too_large", "the body is limited to %d bytes", limit)
	}
	if r.ContentLength > limit {
		return "", tooLarge()
	}
	var b []byte
	var err error
	if r.ContentLength >= 0 {
		if r.ContentLength <= int64(len(room)) {
			b = room[:r.ContentLength]
			defer clear(b)
		} else {
			b = make([]byte, r.ContentLength)
		}
		_, err = io.ReadFull(r.Body, b) // net/http ends the body there
	} else {
		b, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	if err != nil {
		return "", invalid("the body did not arrive whole")
	}
	if int64(len(b)) > limit {
		return "", tooLarge()
	}
	return string(b), nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_request", format, args...)
}

// clip shortens what a caller sent before it is quoted back.
func clip(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "…"
}

// ReadBody reads a body of a media type, in UTF-8 and at most limit bytes long. Whoever
// reads many has room for it, where nothing of it stays, or nil.
func ReadBody(w http.ResponseWriter, r *http.Request, media string, limit int64, room []byte) (string, error) {
	if err := mediaType(r, media); err != nil {
		return "", err
	}
	return readAll(w, r, limit, room)
}
