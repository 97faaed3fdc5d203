package daemon

import (
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale/portal"
)

// witness is the metric that counts events. A report with a metric that its service does not have is void as a whole, so
// it goes only where the portal's catalogue shows it, as a metric of its own: a method would count up its parent.
type witness struct {
	metric string // empty: there is none
	log    *zap.Logger

	mu      sync.Mutex // guards what follows
	without string     // services that were said to be without
}

// of names the metric, if the service has it.
func (w *witness) of(book *portal.Book, service string) string {
	for _, m := range book.Metrics(service) {
		if m.SystemName == w.metric && m.ParentID == 0 {
			return w.metric
		}
	}
	return ""
}

// look says which of the configured services are without it, when these are others than before.
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
