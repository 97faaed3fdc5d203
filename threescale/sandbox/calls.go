package sandbox

import (
	"io"
	"time"
)

// callKind tells the kinds of calls apart, for faults and figures.
type callKind uint8

const (
	reportCall callKind = iota
	authorizeCall
	authrepCall
	analyticsCall // of the admin portal
	accountCall   // of the admin portal
)

func (k callKind) String() string {
	return [...]string{"report", "authorize", "authrep", "analytics", "account"}[k]
}

// Calls are figures since the start, or the last reset.
type Calls struct {
	Report    uint64 `json:"report"`    // calls that arrived, refused and failed ones too
	Authorize uint64 `json:"authorize"` // oauth_authorize too
	Authrep   uint64 `json:"authrep"`   // oauth_authrep too
	Analytics uint64 `json:"analytics"` // of the admin portal
	Account   uint64 `json:"account"`   // Account Management, of the admin portal

	Transactions        uint64 `json:"transactions"`         // in reports that were taken, those with nothing to count too
	LargestTransactions int    `json:"largest_transactions"` // of any report that arrived
	LargestParams       int    `json:"largest_params"`       // of any report's body: ampersands plus one
	LargestBytes        int64  `json:"largest_bytes"`        // of any report's body
	ReportBytes         uint64 `json:"report_bytes"`         // of the bodies of all reports that arrived

	DiscardedBatches      uint64 `json:"discarded_batches"`      // taken, then dropped whole by the worker
	DiscardedTransactions uint64 `json:"discarded_transactions"` // in those
	CrashedTransactions   uint64 `json:"crashed_transactions"`   // left out because the real worker would have crashed
	RefusedReports        uint64 `json:"refused_reports"`        // answered otherwise than 202 by the backend itself
	Faults                uint64 `json:"faults"`                 // calls that met a fault
}

// arrived counts one call.
func (c *Calls) arrived(kind callKind) {
	switch kind {
	case reportCall:
		c.Report++
	case authrepCall:
		c.Authrep++
	case analyticsCall:
		c.Analytics++
	case accountCall:
		c.Account++
	default:
		c.Authorize++
	}
}

// measured keeps the largest of everything, and adds up the bytes.
func (c *Calls) measured(body *meter, transactions int) {
	c.LargestTransactions = max(c.LargestTransactions, transactions)
	c.LargestParams = max(c.LargestParams, body.params())
	c.LargestBytes = max(c.LargestBytes, body.bytes)
	c.ReportBytes += uint64(body.bytes)
}

// meter measures a body while it is read.
type meter struct {
	io.ReadCloser
	bytes      int64
	ampersands int
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.bytes += int64(n)
	for _, b := range p[:n] {
		if b == '&' {
			m.ampersands++
		}
	}
	return n, err
}

// params is the number of parameters as the backend counts them against its cap.
func (m *meter) params() int {
	if m.bytes == 0 {
		return 0
	}
	return m.ampersands + 1
}

// IntegrationError is what the backend stores where the reporter cannot see it: why the worker discarded
// a batch after its 202, and why an authorize or authrep got an <error>.
type IntegrationError struct {
	ServiceID    string    `json:"service_id"`
	Code         string    `json:"code"`
	Message      string    `json:"message"`                // without keys and tokens
	Transactions int       `json:"transactions,omitempty"` // discarded with it
	At           time.Time `json:"at"`
}

// maxErrors is how many are kept, the latest.
const maxErrors = 1000
