package console

import "fmt"

// The states of parts: a failed one keeps the daemon from being ready, a degraded one does not.
const (
	partOK       = "ok"
	partDegraded = "degraded"
	partFailed   = "failed"
	partOff      = "off"
)

// Health is the answer to /readyz?verbose and /livez?verbose. The names of parts are API.
type Health struct {
	Status string       `json:"status"` // the worst of the parts
	Parts  []HealthPart `json:"parts"`
}

// HealthPart is one part of it.
type HealthPart struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// health returns the state of each part.
func (c *Console) health() Health {
	s := c.options.Snapshot(0)
	page := Health{Status: partOK}
	add := func(name, status, detail string) {
		page.Parts = append(page.Parts, HealthPart{name, status, detail})
		if status == partFailed || status == partDegraded && page.Status == partOK {
			page.Status = status
		}
	}
	if err := c.options.Ready(); err != nil {
		add("spool", partFailed, err.Error())
	} else {
		add("spool", partOK, "")
	}
	add(backendPart(&s))
	add(natsPart(c, &s))
	add(configurationPart(&s))
	add(ledgerPart(s.Ledger))
	add(reconcilePart(s.Reconcile))
	add(clusterPart(s.Cluster))
	return page
}

func backendPart(s *Snapshot) (name, status, detail string) {
	held, retrying, parked := 0, 0, 0
	for i := range s.Lanes {
		l := &s.Lanes[i]
		parked += l.Parked
		switch l.State {
		case "held":
			held += l.count()
		case "retrying":
			retrying += l.count()
		}
	}
	switch {
	case s.Reports.BreakerOpen:
		return "backend", partDegraded, "it does not answer: usage stays on disk and is retried"
	case held > 0:
		return "backend", partDegraded, plural(held, "lane is", "lanes are") + " held: the last error says why"
	case retrying > 0:
		return "backend", partDegraded, plural(retrying, "lane is", "lanes are") + " retrying"
	case s.Reports.Clock.Waiting > 0:
		return "backend", partDegraded, "its clock differs from ours: " + plural(s.Reports.Clock.Waiting, "batch waits", "batches wait") + ", since 3scale would drop them by its clock"
	case parked > 0:
		return "backend", partDegraded, plural(parked, "report is", "reports are") + " parked until you decide: reporterd parked ls"
	}
	return "backend", partOK, ""
}

// plural returns a number with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func natsPart(c *Console, s *Snapshot) (name, status, detail string) {
	var notes []string
	if c.options.Degraded != nil {
		notes = c.options.Degraded()
	}
	switch {
	case len(notes) > 0:
		return "nats", partDegraded, notes[0]
	case s.NATS.Degraded:
		return "nats", partDegraded, "no messages arrive from it"
	}
	return "nats", partOK, ""
}

func configurationPart(s *Snapshot) (name, status, detail string) {
	if s.Reload.Failed {
		return "configuration", partDegraded, "the changed one was refused: the previous one is in effect"
	}
	return "configuration", partOK, ""
}

func ledgerPart(l *Ledger) (name, status, detail string) {
	switch {
	case l == nil:
		return "ledger", partOff, ""
	case l.Stopped:
		return "ledger", partDegraded, "it cannot be written"
	case l.Missed:
		return "ledger", partDegraded, "some usage is missing from it"
	}
	return "ledger", partOK, ""
}

func reconcilePart(r *Reconcile) (name, status, detail string) {
	switch {
	case r == nil:
		return "reconcile", partOff, ""
	case r.Stopped:
		return "reconcile", partDegraded, "3scale's counts cannot be read: see reporterd doctor"
	case r.Missing > 0:
		return "reconcile", partDegraded, fmt.Sprintf("3scale has not counted %d units that it accepted", r.Missing)
	}
	return "reconcile", partOK, ""
}

func clusterPart(l *Cluster) (name, status, detail string) {
	switch {
	case l == nil:
		return "cluster", partOff, ""
	case l.Unowned > 0:
		return "cluster", partDegraded, fmt.Sprintf("%d partitions have no owner", l.Unowned)
	}
	return "cluster", partOK, ""
}
