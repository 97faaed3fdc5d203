package console

import (
	"net/http"

	"github.com/reporterd/reporterd/internal/respond"
)

// Names are the names for filters of the API, sorted: a command completes them, and can tell a mistyped name from one without
// results.
type Names struct {
	Services []string `json:"services"` // configured, or with pending usage
	// ServiceNames are what 3scale's admin portal calls services, by id; those that it has not named are left out.
	ServiceNames map[string]string `json:"service_names,omitempty"`
	Reasons      []string          `json:"reasons"` // codes of dead letters: the known ones, and those of existing letters
}

// names answers GET /api/v1/names.
func (c *Console) names(w http.ResponseWriter, r *http.Request) {
	n, err := c.options.Names(r.Context())
	if err != nil {
		respond.Problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	respond.JSON(w, http.StatusOK, Names{append([]string{}, n.Services...), n.ServiceNames, append([]string{}, n.Reasons...)}) // [] and not null
}
