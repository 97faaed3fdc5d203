package daemon

import (
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale/portal"
)

// witness is the metric that counts events. 3scale drops a whole report that names a metric its service does not have, so the
// metric is reported only for services whose catalogue in the portal lists it as a metric. A method is not used: it would
// count for its parent as well.
type witness struct {
	metric string // empty: none
	log    *zap.Logger

	mu      sync.Mutex // guards the fields below
	without string     // services without it, as logged last
}

// of returns the metric, if the service has it; otherwise "".
func (w *witness) of(book *portal.Book, service string) string {
	for _, m := range book.Metrics(service) {
		if m.SystemName == w.metric && m.ParentID == 0 {
			return w.metric
		}
	}
	return ""
}

// look logs which of the configured services do not have the metric, when that list has changed.
func (w *witness) look(book *portal.Book, services []event.Service) {
	if w.metric == "" {
		return
	}
	var without []string
	for i := range services {
		if w.of(book, services[i].ID) == "" {
			without = append(without, services[i].ID)
		}
	}
	slices.Sort(without)
	now := strings.Join(without, ", ")
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case now == w.without:
	case now == "":
		w.log.Info("every service has the witness metric", zap.String("metric", w.metric))
	default:
		w.log.Warn("services without the witness metric: make it in the portal, as a metric and not a method",
			zap.String("metric", w.metric), zap.Strings("services", without))
	}
	w.without = now
}
