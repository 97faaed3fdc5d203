package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
)

const (
	// mostApplications limits how many applications of a service are requested in one run.
	mostApplications = 200
)

// Options say what is compared.
type Options struct {
	Ledger ledger.Book
	Portal *portal.Client

	Services []string      // empty: those of the ledger
	Since    time.Duration // how far back; at most 90 days
	Rules    Rules
	Step     func(done, all int) // called repeatedly; may be nil

	// OnMissing, when not nil, is called by a Keeper with applications whose usage turned out to be missing since the last run.
	OnMissing func(Missing)

	Every time.Duration // of a Keeper: the interval between two runs
	Turn  func() bool   // of a Keeper: whether it is to compare now, and not another one; nil: always. It is asked every 30 s at least
	Log   *zap.Logger   // of a Keeper; nil: none
}

// Report is the result of one run.
type Report struct {
	Portal        string          `json:"portal"`
	ObservedAt    time.Time       `json:"observed_at"`
	SealedThrough time.Time       `json:"sealed_through"` // hours before this one are final
	Calls         uint64          `json:"calls"`
	Summary       map[Verdict]int `json:"summary"`
	Cells         []Cell          `json:"cells"`
	Batches       []Evidence      `json:"batches"`
	Missed        bool            `json:"missed"` // some usage may be missing from the ledger

	Receipts map[Agreement]int `json:"receipts,omitempty"` // cells of services with receipts

	missing []Missing
}

// UnknownService is a requested service that is in neither the portal nor the ledger.
type UnknownService struct{ ID string }

func (u *UnknownService) Error() string {
	return fmt.Sprintf("service %q: it is in neither the portal nor the ledger", u.ID)
}

// Run compares. It makes one call to the portal at a time. It ends early with ctx's error, or with an answer that makes further
// calls useless, such as one to an unknown token.
func Run(ctx context.Context, o Options) (*Report, error) {
	return run(ctx, o, func(*Cell) bool { return false })
}

// run is Run; fresh says of which cells without delivered usage the applications are wanted.
func run(ctx context.Context, o Options, fresh func(*Cell) bool) (*Report, error) {
	now := time.Now().UTC()
	since := now.Add(-o.Since).Truncate(time.Hour)
	reach, err := o.Ledger.Reach()
	if err != nil {
		return nil, err
	}
	r := &Report{
		Portal: o.Portal.URL(), ObservedAt: now, SealedThrough: now.Add(-o.Rules.Seal).Truncate(time.Hour), Summary: map[Verdict]int{},
		Missed: reach.Missed, Cells: []Cell{}, Batches: []Evidence{},
	}
	before := o.Portal.Calls()
	services := o.Services
	if len(services) == 0 {
		known, err := servicesOf(o.Ledger, since)
		if err != nil {
			return nil, err
		}
		services = known
	}
	for i, id := range services {
		if o.Step != nil {
			o.Step(i, len(services))
		}
		b, err := collect(ctx, o, id, since, now)
		if err != nil {
			return nil, fmt.Errorf("reconcile: service %s: %w", id, err)
		}
		if b.Unknown[""] != "" && len(b.Rows) == 0 {
			return nil, &UnknownService{id}
		}
		cells, fates := Judge(b, o.Rules)
		r.Cells, r.Batches, r.missing = append(r.Cells, cells...), append(r.Batches, fates...), append(r.missing, missingOf(b, cells, fresh))
	}
	for i := range r.Cells {
		r.Summary[r.Cells[i].Verdict]++
	}
	r.Receipts = agreements(r.Cells)
	r.Calls = o.Portal.Calls() - before
	return r, nil
}

// agreements counts cells by what receipts show of them; nil: there are no receipts.
func agreements(cells []Cell) (sum map[Agreement]int) {
	for i := range cells {
		if a := cells[i].Receipts; a != "" {
			if sum == nil {
				sum = make(map[Agreement]int)
			}
			sum[a]++
		}
	}
	return sum
}

// servicesOf returns the services with figures in the ledger.
func servicesOf(l ledger.Book, since time.Time) ([]string, error) {
	seen := map[string]bool{}
	err := l.Rows(ledger.Query{Since: since, By: ledger.ByDay, Raw: true, AllApplications: true, AllMetrics: true}, func(r *ledger.Row) error {
		seen[r.ServiceID] = true
		return nil
	})
	return slices.Sorted(maps.Keys(seen)), err
}

// collect reads both sides of a service.
func collect(ctx context.Context, o Options, id string, since, until time.Time) (*Books, error) {
	b := &Books{
		ServiceID: id, ObservedAt: until, Parents: map[string]string{}, Counted: map[string]map[int64]int64{},
		Apps: map[string]map[string]map[int64]int64{}, Unknown: map[string]string{},
	}
	// The portal first: usage booked in between appears as not counted yet, not as counted too much.
	metrics, err := o.Portal.Metrics(ctx, id)
	if gone(err) {
		b.Unknown[""] = "cannot read the service from the portal: " + portal.Because(err)
	} else if err != nil {
		return nil, err
	}
	numbers := map[int64]string{}
	for _, m := range metrics {
		numbers[m.ID] = m.SystemName
	}
	for _, m := range metrics {
		if parent := numbers[m.ParentID]; parent != "" {
			b.Parents[m.SystemName] = parent
		}
	}
	wanted, err := b.read(o.Ledger, since)
	if err != nil || b.Unknown[""] != "" {
		return b, err
	}
	for _, metric := range wanted {
		if !slices.ContainsFunc(metrics, func(m portal.Metric) bool { return m.SystemName == metric }) {
			b.Unknown[metric] = "the portal does not know the metric"
			continue
		}
		if b.Counted[metric], err = ask(ctx, o.Portal, portal.Question{ServiceID: id, Metric: metric, Since: since, Until: until}); err != nil {
			return nil, err
		}
	}
	// Then what was delivered in the meantime: a count may include it.
	if _, err := b.read(o.Ledger, since); err != nil {
		return nil, err
	}
	return b, b.drill(ctx, o, until)
}

// read reads the ledger's side, and returns the metrics to request.
func (b *Books) read(l ledger.Book, since time.Time) (metrics []string, err error) {
	b.Rows, b.Batches = nil, nil
	seen := map[string]bool{}
	err = l.Rows(ledger.Query{ServiceID: b.ServiceID, Since: since, Raw: true}, func(r *ledger.Row) error {
		b.Rows = append(b.Rows, *r)
		up(b.Parents, r.Metric, func(metric string) { seen[metric] = true })
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = l.Batches(b.ServiceID, since, func(r *ledger.BatchRecord) error {
		b.Batches = append(b.Batches, *r)
		return nil
	})
	return slices.Sorted(maps.Keys(seen)), err
}

// drill requests the applications of the hours in which a service's sums differ.
func (b *Books) drill(ctx context.Context, o Options, until time.Time) error {
	metrics, apps, from := b.different()
	if len(apps) == 0 || len(apps) > mostApplications {
		return nil
	}
	known, err := o.Portal.Applications(ctx, b.ServiceID, ledger.ApplicationName)
	if err != nil {
		return err
	}
	names := make([]string, len(known))
	for i, a := range known {
		names[i] = a.Reported
	}
	ids, err := o.Ledger.ApplicationIDs(b.ServiceID, names)
	if err != nil {
		return err
	}
	numbers := map[string]int64{}
	for i, a := range known {
		numbers[ids[i]] = a.ID
	}
	for app := range apps {
		number, ok := numbers[app]
		if !ok {
			b.Unknown[app] = "the portal does not know the application"
			continue
		}
		b.Apps[app] = map[string]map[int64]int64{}
		for metric := range metrics {
			counts, err := ask(ctx, o.Portal, portal.Question{ApplicationID: number, Metric: metric, Since: time.Unix(from, 0), Until: until})
			if gone(err) {
				b.Unknown[app] = portal.Because(err)
				break
			}
			if err != nil {
				return err
			}
			b.Apps[app][metric] = counts
		}
	}
	return nil
}

// different returns the metrics and the applications of the hours that differ, and the first of these hours.
func (b *Books) different() (metrics, apps map[string]bool, from int64) {
	sent := map[place]int64{}
	for i := range b.Rows {
		r := &b.Rows[i]
		up(b.Parents, r.Metric, func(metric string) { sent[place{"", metric, r.Time.Unix()}] += r.Delivered })
	}
	metrics, apps = map[string]bool{}, map[string]bool{}
	hours := map[place]bool{}
	for p, n := range sent {
		if _, asked := b.Counted[p.metric]; asked && b.Counted[p.metric][p.hour] != n {
			hours[p], metrics[p.metric] = true, true
			if from == 0 || p.hour < from {
				from = p.hour
			}
		}
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		up(b.Parents, r.Metric, func(metric string) {
			if hours[place{"", metric, r.Time.Unix()}] {
				apps[r.AppID] = true
			}
		})
	}
	return metrics, apps, from
}

func ask(ctx context.Context, p *portal.Client, q portal.Question) (map[int64]int64, error) {
	counts, err := p.Usage(ctx, q)
	out := make(map[int64]int64, len(counts))
	for _, c := range counts {
		if c.Value != 0 {
			out[c.Time.Unix()] = c.Value
		}
	}
	return out, err
}

// gone reports whether an error says that the requested object does not exist.
func gone(err error) bool {
	var e *portal.Error
	return errors.As(err, &e) && (e.Fault == portal.FaultNotFound || e.Fault == portal.FaultRequest)
}
