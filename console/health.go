package console

import (
	"io"
	"net/http"
	"strings"

	"github.com/reporterd/reporterd/internal/respond"
)

// live reports only that the process answers. With ?verbose it reports the state of each part, with status 200 in any case.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("verbose") {
		respond.JSON(w, http.StatusOK, c.health())
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

// ready reports whether the daemon can commit and accept events, and if not, why. Other problems are a note.
func (c *Console) ready(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("verbose") {
		page := c.health()
		status := http.StatusOK
		if page.Status == partFailed {
			status = http.StatusServiceUnavailable
		}
		respond.JSON(w, status, page)
		return
	}
	if err := c.options.Ready(); err != nil {
		writeText(w, http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
		return
	}
	text := "ok\n"
	if c.options.Degraded != nil {
		for _, what := range c.options.Degraded() {
			text += "degraded: " + what + "\n"
		}
	}
	writeText(w, http.StatusOK, text)
}

// Reloaded is the result of a reload, by the keys of the configuration that have changed.
type Reloaded struct {
	Applied      []string `json:"applied"`       // in effect now
	NeedsRestart []string `json:"needs_restart"` // after a restart
}

// reload answers once the configuration is in effect. The parameter removed names services that are removed on purpose: several
// times, or separated by commas.
func (c *Console) reload(w http.ResponseWriter, r *http.Request) {
	var removed []string
	for _, ids := range r.URL.Query()["removed"] {
		removed = append(append(removed, ids), strings.Split(ids, ",")...)
	}
	done, err := c.options.Reload(removed)
	if err != nil {
		respond.Problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	respond.JSON(w, http.StatusOK, struct {
		Done bool `json:"reloaded"`
		Reloaded
	}{true, done})
}

const index = `reporterd

GET  /                    this, or for a browser a page with live figures
GET  /livez               the process runs
GET  /readyz              it can commit and accept
GET  /api/v1/status       events, spool, backend and lanes, as JSON
GET  /api/v1/live         the same once a second, as server-sent events
GET  /api/v1/deadletters  what the backend will never take: ?service_id=&reason=&since=&until=&limit=&cursor=
     /api/v1/deadletters/ID       one of them
POST /api/v1/deadletters/requeue  makes them live again, /drop deletes them: {"ids":[],"service_id":"","reason":"","since":"","until":"",
                          "all":false,"limit":100,"cursor":"","dry_run":true}, and "restamp" to requeue
GET  /api/v1/parked       reports whose outcome is unknown: ?limit=&cursor=
     /api/v1/parked/ID    one of them
POST /api/v1/parked/ID/…  decides about one: resend, counted or bury
GET  /api/v1/names        services and reasons that filters can name
GET  /openapi.yaml        all of this and the traffic listener, as OpenAPI 3.1; /api/v1 lists the paths
GET  /metrics             the same figures and more, for Prometheus
POST /-/flush             seals everything accepted so far and tries every lane, then answers what came of each
POST /-/reload            reads services and credentials of the configuration again
`

func (c *Console) index(w http.ResponseWriter, r *http.Request) {
	if wantsPage(r) {
		page := pages()["index.html"]
		page.send(w, r)
		return
	}
	text := index
	if c.options.Pprof {
		text += "GET  /debug/pprof/        Go's profiler\n"
	}
	writeText(w, http.StatusOK, text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // an error means that the client is gone
}
