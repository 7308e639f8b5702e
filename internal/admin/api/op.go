package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
)

// Class is how an operation counts against its caller's rate.
type Class string

// The rate classes; see [Limits].
const (
	Reading  Class = "admin.read"
	Changing Class = "admin.write"
	Secret   Class = "admin.secret" // makes or shows a secret, or costs as much
	refused  Class = "admin.refused"
)

// NoEvent is the event of an operation that changes nothing.
const NoEvent = "none"

// Operation is what every operation has to say of itself before it exists.
// There is no default: one that leaves anything out is a panic at start.
type Operation struct {
	Method     string
	Path       string // below /api/v1
	ID         string
	Summary    string
	Permission operator.Permission
	Event      string // the event that a change appends, or NoEvent
	Class      Class
	Status     int // of success; 0: 200, or 204 without a body
	// Realms says that only operators of the default realm may ask: the
	// operation reaches into other realms.
	Realms bool
}

func (o Operation) complete() bool {
	reads := o.Method == http.MethodGet
	return o.Method != "" && strings.HasPrefix(o.Path, "/") && o.ID != "" && o.Summary != "" && o.Permission != "" &&
		o.Class != "" && o.Event != "" && (!reads || o.Event == NoEvent)
}

// handler does the work of one operation for a caller who may ask for it.
type handler[I, O any] func(ctx context.Context, c *Caller, in *I) (*O, error)

// op mounts an operation. It is compiled once for each pair of types, so what all
// operations share stands in admission.
func op[I, O any](s *Server, o Operation, h handler[I, O]) {
	if !o.complete() {
		panic("operation " + o.ID + " does not declare its permission, event and rate class")
	}
	s.operations = append(s.operations, o)
	body, hasBody := bodyOf[I]()
	s.adapter.admit = s.admission(o, body, hasBody)
	huma.Register(s.huma, s.describe(o), func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, ctx.Value(callerKey{}).(*Caller), in)
		if err != nil {
			return nil, explain(ctx, err)
		}
		return out, nil
	})
}

// admission lets a request reach an operation or refuses it, in this order: who
// asks, may they, not too often, is what they send well-formed.
func (s *Server) admission(o Operation, body reflect.Type, hasBody bool) func(http.ResponseWriter, *http.Request) (*http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
		c, err := s.authenticate(w, r)
		if err != nil {
			return nil, err
		}
		if err := s.authorize(c, o); err != nil {
			return nil, err
		}
		if err := s.fresh(c, o, strings.HasPrefix(r.Header.Get("Authorization"), "DPoP")); err != nil {
			return nil, err
		}
		if _, err := web.Query(r); err != nil {
			return nil, err
		}
		switch {
		case hasBody:
			if r, err = strictly(w, r, body); err != nil {
				return nil, err
			}
		case r.ContentLength != 0:
			w.Header().Set("Connection", "close")
			return nil, fault.New(fault.Invalid, "body_unexpected", "this operation takes no body")
		}
		return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), nil
	}
}

type callerKey struct{}

// bodyOf finds the type of the field Body of an input.
func bodyOf[I any]() (reflect.Type, bool) {
	f, ok := reflect.TypeFor[I]().FieldByName("Body")
	if !ok {
		return nil, false
	}
	return f.Type, true
}

// strictly refuses a body that could be read in two ways, before anything reads
// it: a key twice, a key in another case, a key that there is not.
func strictly(w http.ResponseWriter, r *http.Request, t reflect.Type) (*http.Request, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if len(data) > maxBody {
		w.Header().Set("Connection", "close")
		return nil, fault.New(fault.TooLarge, "too_large", "the body is limited to %d bytes", maxBody)
	}
	if err != nil || r.ContentLength >= 0 && int64(len(data)) != r.ContentLength {
		return nil, fault.New(fault.Invalid, "invalid_request", "the body did not arrive whole")
	}
	copied := *r
	copied.Body, copied.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	if err := web.ReadJSON(w, &copied, reflect.New(t).Interface()); err != nil {
		return nil, err
	}
	copied.Body = io.NopCloser(bytes.NewReader(data))
	return &copied, nil
}

// maxBody is the most that is read of a request.
const maxBody = 1 << 20

// adapter mounts huma's operations into the routes of the house, so that they
// pass the same front, lease and log as all others.
type adapter struct {
	mux   *web.Mux
	admit func(w http.ResponseWriter, r *http.Request) (*http.Request, error)
}

// Handle implements huma.Adapter.
func (a *adapter) Handle(o *huma.Operation, next func(huma.Context)) {
	admit := a.admit
	a.admit = nil
	a.mux.Handle(o.Method+" "+wire.Path+o.Path, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		in, err := admit(w, r)
		if err != nil {
			return err
		}
		next(humago.NewContext(o, in, w))
		return nil
	})
}

// ServeHTTP implements huma.Adapter.
func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }
