package sandbox

import (
	"net/http"

	"github.com/reporterd/reporterd/threescale"
)

// report is the listener's part of POST /transactions.xml: it looks at the form of a report, not at its
// content, and answers before the worker has seen it. The caller holds s.mu.
func (s *Sandbox) report(c *call) *answer {
	j, err := s.receive(c)
	if err != nil {
		s.calls.RefusedReports++
		return refused(err, c.options.NoBody)
	}
	if len(j.transactions) > 0 {
		s.enqueueLate(j, c.at.Add(c.late), c.at)
	}
	return plainAnswer(http.StatusAccepted)
}

// receive takes the listener's checks in the backend's order and returns what is left for the worker.
func (s *Sandbox) receive(c *call) (*job, error) {
	a, err := c.view.admit(c.params, true, c.at)
	if err != nil {
		return nil, err
	}
	if !c.params.ValidUTF8() {
		return nil, threescale.NotValidData()
	}
	raw, err := threescale.ReadTransactions(c.params)
	if err != nil {
		return nil, err
	}
	if err := c.view.resolve(&a, c.at); err != nil {
		return nil, err
	}
	s.calls.Transactions += uint64(len(raw))
	j := &job{service: a.service, flat: c.options.FlatUsage}
	for _, t := range raw {
		if !t.Dropped() {
			j.transactions = append(j.transactions, pending{raw: t})
		}
	}
	return j, nil
}
