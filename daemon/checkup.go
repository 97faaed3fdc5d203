package daemon

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/threescale/portal"
)

// checkUpTime bounds one check-up: about ten calls of the portal, which is asked politely.
const checkUpTime = 30 * time.Second

// checkUp answers what `reporterd doctor` says about the access to the portal. One is under way at a time: it asks 3scale.
type checkUp struct {
	portal *portal.Client // nil: none is configured
	ids    func() []string

	mu sync.Mutex // held while the portal is asked
}

// ServeHTTP answers POST /api/v1/portal/check with the findings, in the order in which things were looked at.
func (c *checkUp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.portal == nil {
		respond.Problem(w, http.StatusNotImplemented, "there is no access to 3scale's admin portal: portal.url is not configured")
		return
	}
	if !c.mu.TryLock() {
		w.Header().Set("Retry-After", "5")
		respond.Problem(w, http.StatusServiceUnavailable, "the access to the portal is being checked already")
		return
	}
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), checkUpTime)
	defer cancel()
	respond.JSON(w, http.StatusOK, struct {
		Findings []portal.Finding `json:"findings"`
	}{c.portal.CheckUp(ctx, c.ids())})
}
