package test

import (
	"net/http"
	"testing"
)

// backend is a running `reporterd sandbox`.
type backend struct {
	*process
	url string
}

// usage is what was counted: service → application → metric → value, parents included.
type usage map[string]map[string]map[string]uint64

// calls is what the sandbox saw.
type calls struct {
	Report              uint64
	Authorize           uint64
	Transactions        uint64
	LargestTransactions int    `json:"largest_transactions"`
	LargestParams       int    `json:"largest_params"`
	LargestBytes        int    `json:"largest_bytes"`
	ReportBytes         uint64 `json:"report_bytes"`
	DiscardedBatches    uint64 `json:"discarded_batches"`
}

// fault is how the next calls of a kind fail.
type fault struct {
	Status int    `json:"status,omitempty"`
	Times  int    `json:"times,omitempty"`
	Delay  string `json:"delay,omitempty"`
	Landed bool   `json:"landed,omitempty"` // it counts all the same
	Close  bool   `json:"close,omitempty"`  // the connection is closed without an answer
}

// sandbox starts a stand-in backend.
func sandbox(t testing.TB) *backend {
	t.Helper()
	p := reporterd(t, "sandbox", "--listen", "127.0.0.1:0")
	return &backend{process: p, url: "http://" + p.await("sandbox")}
}

// usage returns what was counted so far.
func (b *backend) usage() usage {
	b.t.Helper()
	return read[usage](b.t, mustCall(b.t, http.StatusOK, http.MethodGet, b.url+"/sandbox/usage", nil))
}

// calls returns what was called so far.
func (b *backend) calls() calls {
	b.t.Helper()
	return read[calls](b.t, mustCall(b.t, http.StatusOK, http.MethodGet, b.url+"/sandbox/calls", nil))
}

// failReports makes the next reports fail.
func (b *backend) failReports(f fault) {
	b.t.Helper()
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]fault{"report": f})
}

// heal ends every fault.
func (b *backend) heal() {
	b.t.Helper()
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]fault{})
}
