package portal

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/threescale"
)

const (
	firstRetry = 30 * time.Second // after a reading that failed, doubled each time
)

// Book is the catalogue as it was read last: services, metrics and applications by name and number, and no key of
// any. It is safe for concurrent use. A nil *Book is empty.
type Book struct {
	client *Client
	names  func(threescale.Application) string
	log    *zap.Logger
	page   atomic.Pointer[page] // nil: nothing was read yet
	again  chan struct{}        // holds one: a caller asked for a read now
}

// page is one reading. It is not changed.
type page struct {
	at           time.Time
	services     []Service
	metrics      map[string][]Metric
	parents      map[string]map[string]string
	applications map[string][]Application
}

// NewBook returns an empty book. names says how an application is called that is only known by a key.
func NewBook(c *Client, names func(threescale.Application) string, log *zap.Logger) *Book {
	return &Book{client: c, names: names, log: log, again: make(chan struct{}, 1)}
}

// Again has the catalogue read now.
func (b *Book) Again() {
	if b == nil {
		return
	}
	select {
	case b.again <- struct{}{}:
	default:
	}
}

// Run reads the catalogue at once and every so often, until ctx ends, and calls read after each time that went well.
// What cannot be read stays as it was, and is tried again sooner.
func (b *Book) Run(ctx context.Context, every time.Duration, read func()) {
	failures := 0
	for {
		p, err := b.read(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := every
		switch {
		case err != nil:
			if failures++; failures == 1 {
				b.log.Warn("the portal's catalogue cannot be read: names and numbers stay as they were", zap.Error(err))
			}
			wait = min(every, firstRetry<<min(failures-1, 10))
		default:
			if failures > 0 {
				b.log.Info("the portal's catalogue can be read again", zap.Int("failures", failures))
			}
			failures = 0
			b.page.Store(p)
			read()
		}
		select {
		case <-ctx.Done():
			return
		case <-b.again:
		case <-time.After(wait):
		}
	}
}

// read reads everything. A service that vanishes meanwhile is left out.
func (b *Book) read(ctx context.Context) (*page, error) {
	p := &page{
		at: time.Now(), metrics: make(map[string][]Metric), parents: make(map[string]map[string]string), applications: make(map[string][]Application),
	}
	var err error
	if p.services, err = b.client.Services(ctx); err != nil {
		return nil, err
	}
	for i := range p.services {
		id := p.services[i].ServiceID()
		metrics, err := b.client.Metrics(ctx, id)
		if FaultOf(err) == FaultNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		slices.SortFunc(metrics, func(a, b Metric) int { return cmp.Compare(a.ID, b.ID) })
		p.metrics[id], p.parents[id] = metrics, parentsOf(metrics)
	}
	all, err := b.client.Applications(ctx, "", b.names)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Application) int { return cmp.Compare(a.ID, b.ID) })
	for _, a := range all {
		id := (&Service{ID: a.ServiceID}).ServiceID()
		p.applications[id] = append(p.applications[id], a)
	}
	return p, nil
}

// parentsOf names the metric above each method.
func parentsOf(metrics []Metric) map[string]string {
	names := make(map[int64]string, len(metrics))
	for _, m := range metrics {
		names[m.ID] = m.SystemName
	}
	parents := make(map[string]string)
	for _, m := range metrics {
		if parent := names[m.ParentID]; m.ParentID != 0 && parent != "" {
			parents[m.SystemName] = parent
		}
	}
	return parents
}

func (b *Book) open() *page {
	if b == nil || b.page.Load() == nil {
		return &page{}
	}
	return b.page.Load()
}

// At is when the catalogue was read; zero: it was not yet.
func (b *Book) At() time.Time { return b.open().at }

// Services returns the services that the token's owner may see. The list must not be changed; nor must those that the other methods return.
func (b *Book) Services() []Service { return b.open().services }

// Metrics returns the metrics and methods of a service, by id.
func (b *Book) Metrics(serviceID string) []Metric { return b.open().metrics[serviceID] }

// Parents returns a service's metrics by their methods.
func (b *Book) Parents(serviceID string) map[string]string { return b.open().parents[serviceID] }

// Applications returns the applications of a service, by id.
func (b *Book) Applications(serviceID string) []Application { return b.open().applications[serviceID] }
