package app

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
)

// health answers the questions of whoever runs the process. A process is
// healthy while it serves at all; it is ready while it may say yes.
func (a *App) health(m *web.Mux) {
	d := m.Door("health", web.Problem, web.LeaseOff)
	d.Handle("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	d.Handle("GET /readyz", func(w http.ResponseWriter, r *http.Request) error {
		if err := a.Log.Live(); err != nil {
			return err
		}
		if err := a.DB.Check(r.Context()); err != nil {
			return fault.New(fault.Unavailable, "database_unavailable", "the database does not answer")
		}
		return web.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}
