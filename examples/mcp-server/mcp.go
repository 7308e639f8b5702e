package main

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/verify"
)

// versions are the revisions of MCP that this server speaks, the newest first.
var versions = []string{"2025-11-25", "2025-06-18", "2025-03-26"}

// maxMessage bounds a message, in bytes.
const maxMessage = 64 << 10

// message is a JSON-RPC request or notification.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// The errors of JSON-RPC that are answered here.
const (
	parseError     = -32700
	invalidRequest = -32600
	noSuchMethod   = -32601
	invalidParams  = -32602
)

// call answers one message. First the token: who sends junk without one learns
// nothing but how to get one.
func (s *server) call(w http.ResponseWriter, r *http.Request) {
	token, err := s.verifier.Request(r, scopeRead)
	if err != nil {
		s.refuse(w, err, scopeRead)
		return
	}
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && !slices.Contains(versions, v) {
		http.Error(w, "this revision of MCP is not spoken here", http.StatusBadRequest)
		return
	}
	var m message
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil || json.Unmarshal(body, &m) != nil {
		fail(w, http.StatusBadRequest, nil, parseError, "not a JSON-RPC message of at most 64 KiB")
		return
	}
	if m.Version != "2.0" || m.Method == "" {
		fail(w, http.StatusBadRequest, m.ID, invalidRequest, "not a request of JSON-RPC 2.0")
		return
	}
	if m.ID == nil { // a notification: nothing is answered
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.answer(w, token, m)
}

func (s *server) answer(w http.ResponseWriter, token *verify.Token, m message) {
	switch m.Method {
	case "initialize":
		var p struct {
			ProtocolVersion string `json:"protocolVersion"`
		}
		_ = json.Unmarshal(m.Params, &p) // without a version the newest is offered
		if !slices.Contains(versions, p.ProtocolVersion) {
			p.ProtocolVersion = versions[0]
		}
		result(w, m.ID, map[string]any{
			"protocolVersion": p.ProtocolVersion,
			"capabilities":    map[string]any{"tools": map[string]any{}},
			"serverInfo":      map[string]any{"name": "notes", "title": "Notes", "version": "1.0.0"},
		})
	case "ping":
		result(w, m.ID, map[string]any{})
	case "tools/list":
		result(w, m.ID, map[string]any{"tools": tools()})
	case "tools/call":
		s.use(w, token, m)
	default:
		fail(w, http.StatusOK, m.ID, noSuchMethod, "there is no such method")
	}
}

// use calls a tool. One that needs a further scope is refused like a request
// without it, so that the client asks the person and calls again.
func (s *server) use(w http.ResponseWriter, token *verify.Token, m message) {
	var p struct {
		Name      string `json:"name"`
		Arguments struct {
			Text string `json:"text"`
		} `json:"arguments"`
	}
	if err := json.Unmarshal(m.Params, &p); err != nil {
		fail(w, http.StatusOK, m.ID, invalidParams, "the arguments have the wrong shape")
		return
	}
	switch p.Name {
	case "list_notes":
		said(w, m.ID, s.notes.list(token.Subject))
	case "add_note":
		if err := token.Require(scopeWrite); err != nil {
			s.refuse(w, err, scopeRead, scopeWrite)
			return
		}
		if p.Arguments.Text == "" {
			fail(w, http.StatusOK, m.ID, invalidParams, "a note needs a text")
			return
		}
		s.notes.add(token.Subject, p.Arguments.Text)
		said(w, m.ID, "Noted.")
	default:
		fail(w, http.StatusOK, m.ID, invalidParams, "there is no such tool")
	}
}

// tools describes what there is.
func tools() []map[string]any {
	return []map[string]any{
		{"name": "list_notes", "title": "List notes", "description": "Lists your notes.",
			"inputSchema": map[string]any{"type": "object", "properties": map[string]any{}}, "annotations": map[string]any{"readOnlyHint": true}},
		{"name": "add_note", "title": "Add a note", "description": "Adds a note. Needs a further permission, which you are asked for.",
			"inputSchema": map[string]any{"type": "object", "required": []string{"text"}, "properties": map[string]any{"text": map[string]any{"type": "string"}}}},
	}
}

func said(w http.ResponseWriter, id json.RawMessage, text string) {
	result(w, id, map[string]any{"content": []map[string]any{{"type": "text", "text": text}}})
}

func result(w http.ResponseWriter, id json.RawMessage, v any) {
	reply(w, map[string]any{"jsonrpc": "2.0", "id": id, "result": v})
}

func fail(w http.ResponseWriter, status int, id json.RawMessage, code int, text string) {
	if id == nil {
		id = json.RawMessage("null")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reply(w, map[string]any{"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": code, "message": text}})
}
