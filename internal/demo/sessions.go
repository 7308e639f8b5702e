package demo

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

// cookieName is the application's own cookie; it shares nothing with Cardea's.
const cookieName = "cardea-demo"

// maxSessions bounds the memory that visitors can take; the oldest goes first.
const maxSessions = 1000

// A session is one browser at the application, before and after its sign-in.
// Its fields other than pending are set once, before the session is stored.
type session struct {
	began   time.Time
	pending *pending
	tokens  *tokens
	idToken claims
	access  accessToken
	name    string
}

// pending is a sign-in on its way: what the answer must match.
type pending struct{ state, nonce, verifier string }

// accessToken is an access token as the page shows it.
type accessToken struct{ Header, Payload claims }

// sessions keeps them in memory, by the random value in the browser's cookie.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]*session
	order []string
}

// begin stores s under a new id and gives the browser that id. A sign-in thus
// never continues under an id that existed before it.
func (all *sessions) begin(w http.ResponseWriter, s *session) {
	id := rand.Text()
	all.mu.Lock()
	if all.byID == nil {
		all.byID = map[string]*session{}
	}
	all.byID[id] = s
	all.order = append(all.order, id)
	if len(all.order) > maxSessions {
		delete(all.byID, all.order[0])
		all.order = all.order[1:]
	}
	all.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// of finds the session of a request, or nil.
func (all *sessions) of(r *http.Request) *session {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.byID[c.Value]
}

// end forgets the session of a request and takes the cookie back.
func (all *sessions) end(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		all.mu.Lock()
		delete(all.byID, c.Value)
		all.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
