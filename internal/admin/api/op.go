package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"

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

// op mounts an operation. It is compiled once for each pair of types: whatever
// does not need to know them stands in mount.
func op[I, O any](s *Server, o Operation, h handler[I, O]) {
	s.mount(&mounted{Operation: o, in: reflect.TypeFor[I](), out: reflect.TypeFor[O](), call: func(ctx context.Context, c *Caller, in any) (any, error) {
		return h(ctx, c, in.(*I))
	}})
}

// mounted is an operation with its types, *I and *O of the handler that call is.
type mounted struct {
	Operation
	in, out reflect.Type
	call    func(ctx context.Context, c *Caller, in any) (any, error)
	gate    *gate
	contract
}

func (s *Server) mount(m *mounted) {
	if !m.complete() {
		panic("operation " + m.ID + " does not declare its permission, event and rate class")
	}
	m.gate = newGate(m.Operation)
	s.operations = append(s.operations, m)
	s.mux.Handle(m.Method+" "+wire.Path+m.Path, func(w http.ResponseWriter, r *http.Request) error { return s.answer(w, r, m) })
}

// answer lets a request reach an operation or refuses it, in this order: who
// asks, not too often, may they, is what they send well-formed.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, m *mounted) error {
	w.Header().Set("Cache-Control", "no-store")
	c, err := s.authenticate(w, r)
	if err != nil {
		return err
	}
	if err := s.authorize(r, c, m.gate); err != nil {
		return err
	}
	if err := s.fresh(c, m.Operation, strings.HasPrefix(r.Header.Get("Authorization"), "DPoP")); err != nil {
		return err
	}
	if _, err := web.Query(r); err != nil {
		return err
	}
	s.document()
	in := reflect.New(m.in)
	var body []byte
	switch {
	case m.body != nil:
		if body, err = strictly(w, r, in.Elem().FieldByIndex(m.body.index)); err != nil {
			return err
		}
	case r.ContentLength != 0:
		w.Header().Set("Connection", "close")
		return fault.New(fault.Invalid, "body_unexpected", "this operation takes no body")
	}
	if err := m.read(r, body, in.Elem()); err != nil {
		return err
	}
	out, err := m.call(r.Context(), c, in.Interface())
	if err != nil {
		return err
	}
	return m.write(w, out)
}

// strictly refuses a body that could be read in two ways: a key twice, a key in
// another case, a key that there is not. It reads any other into v.
func strictly(w http.ResponseWriter, r *http.Request, v reflect.Value) ([]byte, error) {
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
	return data, web.ReadJSON(w, &copied, v.Addr().Interface())
}

// maxBody is the most that is read of a request.
const maxBody = 1 << 20
