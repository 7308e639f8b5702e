package opal

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// The wire format of fastapi_websocket_rpc: each message is a request or a response.
type message struct {
	Request  *request  `json:"request,omitempty"`
	Response *response `json:"response,omitempty"`
}

type request struct {
	Method    string         `json:"method"`
	Arguments map[string]any `json:"arguments"`
	CallID    string         `json:"call_id,omitempty"`
}

type response struct {
	Result any    `json:"result"`
	Type   string `json:"result_type"`
	CallID string `json:"call_id,omitempty"`
}

const (
	mostTopics = 100
	maxTopic   = 512
	askAgain   = time.Minute            // whether the credential still counts
	gather     = 200 * time.Millisecond // changes that come together are told together
	mostOpen   = 20_000                 // connections of a node
)

// topics of a client, and what they are about.
type topic struct {
	name      string
	policy    bool
	directory string // of a policy topic
}

// topicOf reads the name of a topic: policy:DIRECTORY, policy_data or one below it,
// and both in a scope (SCOPE:policy:…, SCOPE:data:…). Other topics are never told
// anything.
func topicOf(rl *realm.Realm, name string) (topic, bool) {
	t, rest := topic{name: name}, name
	if scope, below, ok := strings.Cut(name, ":"); ok && scope != "policy" {
		if !inScope(rl, scope) {
			return t, false
		}
		rest, ok = strings.CutPrefix(below, "data:")
		if !ok && !strings.HasPrefix(rest, "policy:") {
			return t, false
		}
	}
	if dir, ok := strings.CutPrefix(rest, "policy:"); ok {
		t.policy, t.directory = true, dir
		return t, true
	}
	return t, rest == topicData || strings.HasPrefix(rest, topicData+"/")
}

const topicData = "policy_data"

// connection is one client's.
type connection struct {
	*Server
	socket *socket
	id     string
	realm  *realm.Realm
	caller *opa.Caller
	shown  string // its credential, which it needs to fetch what it is told of
	alive  atomic.Int64

	mu     sync.Mutex
	topics map[string]topic
	policy string // the tags of what the client was told of last
	facts  string
}

// pubsub answers GET /ws: a WebSocket on which a client subscribes to topics and is
// told to fetch anew when something changed.
func (s *Server) pubsub(w http.ResponseWriter, r *http.Request) error {
	rl, c, err := s.admit(w, r)
	if err != nil {
		return err
	}
	k := &connection{Server: s, id: id.New("wsc", s.o.Now()), realm: rl, caller: c, shown: r.Header.Get("Authorization"), topics: map[string]topic{}}
	changed := s.o.Plane.Changed(rl.Name)
	// What changes from here on is told; a client fetches everything when it is connected.
	if k.policy, k.facts, err = s.o.Plane.Tags(r.Context(), rl.Name, rl.Issuer); err != nil {
		return err
	}
	if !s.open.Take(rl.Name) {
		return busy()
	}
	defer s.open.Leave(rl.Name)
	if k.socket, err = accept(w, r); err != nil {
		if k.socket != nil {
			return nil // the status has been sent
		}
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		code, why := reason(k.listen())
		k.socket.end(code, why)
	})
	k.tell(ctx, changed, web.Stopping(r.Context()))
	k.socket.end(endAway, "")
	cancel()
	wg.Wait()
	return nil
}

// listen answers what the client asks until the connection ends.
func (k *connection) listen() error {
	for {
		text, err := k.socket.receive(func() { k.alive.Store(0) })
		if err != nil {
			return err
		}
		answer, err := k.answer(text)
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if err := k.socket.send(opText, answer); err != nil {
			return err
		}
	}
}

// answer is what a message is answered with, nil where it is itself the response to
// something that was told.
func (k *connection) answer(text []byte) ([]byte, error) {
	var m message
	if json.Unmarshal(text, &m) != nil {
		return nil, &ended{endData, "a message is no JSON of a call"}
	}
	if m.Request == nil {
		return nil, nil
	}
	result, kind := k.call(m.Request)
	return json.Marshal(message{Response: &response{Result: result, Type: kind, CallID: m.Request.CallID}})
}

// call does what a client can ask for. Publishing is not among it: what is told
// comes from the realm's policies and facts and nobody else.
func (k *connection) call(r *request) (result any, kind string) {
	switch r.Method {
	case "_ping_", "ping":
		return "pong", "str"
	case "_get_channel_id_":
		return k.id, "str"
	case "subscribe":
		return k.subscribe(list(r.Arguments["topics"])), "bool"
	case "unsubscribe":
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, name := range list(r.Arguments["topics"]) {
			delete(k.topics, name)
		}
		return true, "bool"
	}
	return false, "bool"
}

func list(v any) (names []string) {
	all, _ := v.([]any)
	for _, x := range all {
		if name, ok := x.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func (k *connection) subscribe(names []string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range names {
		if len(name) > maxTopic || len(k.topics) >= mostTopics {
			return false
		}
		if t, ok := topicOf(k.realm, name); ok {
			k.topics[name] = t
		}
	}
	return true
}

// tell watches what the realm has and tells the client what changed.
func (k *connection) tell(ctx context.Context, changed, stopping <-chan struct{}) {
	ping, ask := time.NewTicker(pingEach), time.NewTicker(askAgain)
	defer ping.Stop()
	defer ask.Stop()
	for {
		select {
		case <-changed:
			wait := time.NewTimer(gather)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return
			}
			changed = k.o.Plane.Changed(k.realm.Name)
			if k.news(ctx) != nil {
				return // it comes back, and starts with everything
			}
		case <-ping.C:
			if k.alive.Add(1) > mostMissed || k.socket.send(opPing, nil) != nil {
				return
			}
		case <-ask.C:
			if k.caller.Still(ctx) != nil {
				k.socket.end(endPolicy, "the credential does not count any more")
				return
			}
		case <-ctx.Done():
			return
		case <-stopping:
			return
		case <-k.closing:
			return
		}
	}
}

// news tells what is other than the client was told last.
func (k *connection) news(ctx context.Context) error {
	policy, facts, err := k.o.Plane.Tags(ctx, k.realm.Name, k.realm.Issuer)
	if err != nil {
		return err
	}
	k.mu.Lock()
	topics := make([]topic, 0, len(k.topics))
	for _, t := range k.topics {
		topics = append(topics, t)
	}
	k.mu.Unlock()
	slices.SortFunc(topics, func(a, b topic) int { return strings.Compare(a.name, b.name) })
	for _, t := range topics {
		switch {
		case t.policy && policy != k.policy:
			err = k.notify(t, map[string]any{"old_policy_hash": k.policy, "new_policy_hash": policy, "changed_directories": []string{t.directory}})
		case !t.policy && facts != k.facts:
			err = k.notify(t, map[string]any{"id": facts, "reason": "facts of revision " + agent.RevisionOf(facts), "entries": []entry{k.entry(k.realm, k.shown, t.name)}, "callback": map[string]any{"callbacks": []any{}}})
		}
		if err != nil {
			return err
		}
	}
	k.policy, k.facts = policy, facts
	return nil
}

func (k *connection) notify(t topic, data any) error {
	at := k.o.Now()
	text, err := json.Marshal(message{Request: &request{Method: "notify", CallID: id.New("call", at), Arguments: map[string]any{
		"subscription": map[string]any{"id": id.New("sub", at), "subscriber_id": k.id, "topic": t.name, "notifier_id": nil}, "data": data}}})
	if err != nil {
		return err
	}
	return k.socket.send(opText, text)
}
