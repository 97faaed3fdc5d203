package console

import (
	"net/http"
)

// Names are what filters of the API can name, sorted: a command completes them, and tells a mistyped name from one that has
// nothing to show.
type Names struct {
	Services []string `json:"services"` // configured, or with usage that waits
	Reasons  []string `json:"reasons"`  // codes that dead letters can have: those that are known, and those that some have
}

// names answers GET /api/v1/names.
func (c *Console) names(w http.ResponseWriter, r *http.Request) {
	n, err := c.options.Names(r.Context())
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, Names{append([]string{}, n.Services...), append([]string{}, n.Reasons...)}) // [] and not null
}
