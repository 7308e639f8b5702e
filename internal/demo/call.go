package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// answer is what the API said to one call, as the page's script reads it.
type answer struct {
	Status int       `json:"status"`
	Time   time.Time `json:"time,omitzero"`
	Micros int64     `json:"checked_in_us,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// revocation says how long it took: until Cardea acknowledged, and until the
// API refused the token.
type revocation struct {
	Acknowledged float64 `json:"acknowledged_ms"`
	Refused      float64 `json:"refused_ms"`
	Error        string  `json:"error,omitempty"`
}

// clock calls the API with the session's access token and hands its answer on.
// The page asks ten times a second.
func (a *app) clock(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	if s == nil || s.tokens == nil {
		writeJSON(w, http.StatusOK, answer{Status: http.StatusUnauthorized, Error: "You are not signed in here."})
		return
	}
	writeJSON(w, http.StatusOK, a.call(r.Context(), s.tokens.Access))
}

func (a *app) call(ctx context.Context, accessToken string) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.apiURL+"/clock", nil)
	if err != nil {
		return answer{Error: err.Error()}
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	resp, err := a.api.Do(req)
	if err != nil {
		return answer{Error: "the API does not answer"}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{Error: "the API broke off"}
	}
	if resp.StatusCode != http.StatusOK {
		return answer{Status: resp.StatusCode, Error: strings.TrimSpace(string(body))}
	}
	got := answer{}
	if err := json.Unmarshal(body, &got); err != nil {
		return answer{Error: "the API answered something else than JSON"}
	}
	got.Status = resp.StatusCode
	return got
}

// revoke ends the grant behind the session's tokens, then calls the API until
// it refuses, and says how many milliseconds each took.
func (a *app) revoke(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	if s == nil || s.tokens == nil {
		a.fail(w, r, http.StatusUnauthorized, "You are not signed in here.")
		return
	}
	result := a.timeRevocation(r.Context(), s.tokens)
	if r.Header.Get("Accept") == "application/json" {
		writeJSON(w, http.StatusOK, result)
		return
	}
	v := a.view(s)
	v.Result = result
	a.show(w, http.StatusOK, v)
}

func (a *app) timeRevocation(ctx context.Context, t *tokens) *revocation {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	if err := a.provider.revoke(ctx, t); err != nil {
		a.log.Warn("demo revocation", "error", err)
		return &revocation{Error: "Cardea did not acknowledge the revocation: " + err.Error()}
	}
	result := &revocation{Acknowledged: milliseconds(time.Since(began))}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if got := a.call(ctx, t.Access); got.Status == http.StatusUnauthorized {
			result.Refused = milliseconds(time.Since(began))
			return result
		}
		select {
		case <-ctx.Done():
			result.Error = "The API still accepts the token after ten seconds."
			return result
		case <-tick.C:
		}
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
