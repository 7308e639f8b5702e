package edge

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// place is where a follower says that it stands.
type place struct {
	types    []string
	revision int64
	line     string
	seq      int64
	chain    replica.Chain
	policies string
}

// The parameters of a stream, in the query.
func readPlace(r *http.Request) (p place, err error) {
	q, err := web.Query(r)
	if err != nil {
		return p, err
	}
	bad := func(name, want string) (place, error) {
		return p, fault.New(fault.Invalid, "invalid_request", "%s must be %s", name, want).WithField(name, "must be "+want)
	}
	for t := range strings.FieldsSeq(q.Get("types")) {
		p.types = append(p.types, t)
	}
	slices.Sort(p.types)
	if p.types = slices.Compact(p.types); len(p.types) > 100 {
		return bad("types", "at most 100 types of resources")
	}
	if q.Get("revision") == "" {
		return p, nil
	}
	if p.revision, err = replica.Parse(q.Get("revision")); err != nil {
		return bad("revision", "one that came on a stream, such as 1.4711")
	}
	p.line, p.policies = q.Get("line"), q.Get("policies")
	if p.seq, err = strconv.ParseInt(q.Get("seq"), 10, 64); err != nil {
		return bad("seq", "a number")
	}
	if err = p.chain.UnmarshalText([]byte(q.Get("chain"))); err != nil {
		return bad("chain", "one that came on a stream")
	}
	return p, nil
}

// stream answers GET and POST of a realm's stream: what the follower has not, and
// then changes and signed heads for as long as both sides and the credential last.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	if rl == nil {
		return fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	at, err := readPlace(r)
	if err != nil {
		return err
	}
	who, err := s.o.Authorize(w, r)
	if err != nil {
		return err
	}
	web.Note(r.Context(), "client", who.Client)
	asked := s.o.Now()
	if err := s.o.Log.Live(); err != nil {
		return err
	}
	h, _, err := s.hubs.Join(rl.Name, func() *hub { return newHub(s, rl.Name, rl.Issuer) })
	if err != nil {
		return err
	}
	defer s.hubs.Leave(h)
	ctx, cancel := context.WithTimeout(r.Context(), factsWait)
	l, err := h.line(ctx, at.types)
	cancel()
	if err != nil {
		return err
	}
	defer h.leave(l)
	next, resumed := l.resume(at.line, at.seq, at.chain)
	if !resumed {
		select {
		case s.joins <- struct{}{}:
		default:
			return feed.Unavailable("this node is sending facts to many edges just now")
		}
	}
	release := func() {
		if !resumed {
			<-s.joins
			resumed = true
		}
	}
	defer release()
	out, err := web.NewStream(w, "application/vnd.cardea.edge-stream", writeLimit)
	if err != nil {
		return err
	}
	defer out.Close()
	// The status has been sent: from here on an error can only end the stream.
	if resumed {
		begin(out, replica.ModeResume, l, asked)
	} else if next, err = s.catchUp(r.Context(), out, l, &at, asked); err != nil {
		if r.Context().Err() == nil {
			s.o.Logger.Info("an edge could not be brought up to date", "realm", rl.Name, "client", who.Client, "why", err)
		}
		return nil
	}
	release()
	l.ring.Pump(r.Context(), out, next, l.live.Done(), askAgain, who.Still)
	return nil
}

// catchUp sends what the follower has not, and a head that vouches for it.
func (s *Server) catchUp(ctx context.Context, out *web.Stream, l *line, at *place, asked time.Time) (next int64, err error) {
	key, err := s.o.Signer(ctx, l.h.Realm)
	if err != nil {
		return 0, err
	}
	told, seq, going, next := l.now()
	touched, ok, err := s.since(ctx, l, at, told)
	if err != nil {
		return 0, err
	}
	var chain replica.Chain
	if ok {
		chain = at.chain.Next(replica.KindBegin, begin(out, replica.ModePatch, l, asked))
		chain, err = patch(out, chain, told, touched, told.hash() != at.policies)
	} else {
		chain = chain.Next(replica.KindBegin, begin(out, replica.ModeSnapshot, l, asked))
		err = replica.Write(told.set, told.graph, l.slice, func(part []byte) error {
			chain = chain.Next(replica.KindPart, part)
			out.Add(replica.AppendFrame(nil, replica.KindPart, part))
			return out.Flush()
		})
	}
	if err != nil {
		return 0, err
	}
	if err := s.o.Log.Live(); err != nil {
		return 0, err
	}
	head, err := l.sign(key, told, seq, chain, &going)
	if err != nil {
		return 0, err
	}
	out.Add(replica.AppendFrame(nil, replica.KindHead, head))
	return next, out.Flush()
}

// since reads from the log of whom something changed after a follower's revision.
// It reports false where the follower needs a snapshot: it has nothing, it holds a
// slice whose types may be others now, it comes from another past or from what is
// not known here yet, or too much has happened.
func (s *Server) since(ctx context.Context, l *line, at *place, told facts) (map[graph.Entity]bool, bool, error) {
	from := audit.AtRevision(at.revision)
	if at.revision == 0 || l.slice != nil || told.set == nil || at.policies == "" || at.revision > told.revision || from.Epoch != audit.AtRevision(told.revision).Epoch {
		return nil, false, nil
	}
	touched, n := map[graph.Entity]bool{}, 0
	_, err := s.o.Log.Replay(ctx, l.h.Realm, from, func(r audit.Record) error {
		if n++; n > maxReplayed {
			return errMuch
		}
		t := s.o.Touches(r)
		if t.Unknown {
			return errMuch
		}
		t.addTo(touched)
		return nil
	})
	if err == errMuch {
		return nil, false, nil
	}
	return touched, err == nil, err
}

var errMuch = fault.New(fault.TooLarge, "too_much", "too much has happened for a patch")

func patch(out *web.Stream, chain replica.Chain, told facts, touched map[graph.Entity]bool, policies bool) (replica.Chain, error) {
	var w replica.Writer
	take := func() error {
		part := w.Take()
		chain = chain.Next(replica.KindPart, part)
		out.Add(replica.AppendFrame(nil, replica.KindPart, part))
		return out.Flush()
	}
	if policies {
		if err := w.Policies(told.set); err != nil {
			return chain, err
		}
	}
	for e, dropped := range touched {
		if err := w.Renew(told.graph, e, dropped, nil); err != nil {
			return chain, err
		}
		if w.Full() {
			if err := take(); err != nil {
				return chain, err
			}
		}
	}
	if w.Empty() {
		return chain, nil
	}
	return chain, take()
}

// begin sends the first frame and returns its payload.
func begin(out *web.Stream, mode string, l *line, asked time.Time) []byte {
	payload, _ := json.Marshal(replica.Begin{Mode: mode, Line: l.id, At: asked.UnixMilli()}) // strings always have an encoding
	out.Add(replica.AppendFrame(nil, replica.KindBegin, payload))
	return payload
}
