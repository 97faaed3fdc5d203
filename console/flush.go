package console

import (
	"net/http"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
)

// FlushedLane is the result of a flush in one lane.
type FlushedLane struct {
	ServiceID string `json:"service_id"`
	PassedOn  bool   `json:"passed_on"` // with credentials that the reporter sent, not with configured ones
	Result    string `json:"result"`    // delivered, failed, not tried, waiting or parked
	State     string `json:"state"`     // of the lane, afterwards
	Batches   int    `json:"batches"`   // batches that are left
	Events    uint64 `json:"events"`    // events in them
	Parked    int    `json:"parked_batches"`
	LastError string `json:"last_error"`
}

// Done reports whether no batch is left in the lane that could be sent: parked batches wait for a decision.
func (l *FlushedLane) Done() bool { return l.Result == "delivered" || l.Result == "parked" }

// Flushed is the answer to POST /-/flush.
type Flushed struct {
	Flushed bool          `json:"flushed"` // everything is delivered, a dead letter, or parked
	Seconds float64       `json:"seconds"` // how long it took
	Lanes   []FlushedLane `json:"lanes"`   // those that had something to deliver
}

// flush answers when everything accepted before it is sealed and was tried. It waits as long as the caller does: a batch behind a
// backend that does not answer is tried after the backend's timeout.
func (c *Console) flush(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	lanes, err := c.options.Flush(r.Context())
	if err != nil {
		respond.Problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer := Flushed{Flushed: true, Seconds: time.Since(begun).Seconds(), Lanes: append([]FlushedLane{}, lanes...)} // [] and not null
	for i := range lanes {
		answer.Flushed = answer.Flushed && lanes[i].Done()
	}
	respond.JSON(w, http.StatusOK, answer)
}
