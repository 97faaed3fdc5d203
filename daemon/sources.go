package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/dashboard"
	"github.com/reporterd/reporterd/console/source"
	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/analytics"
)

// sources are the kept questions, and who answers them.
type sources struct {
	store  *source.Store
	boards *dashboard.Store
	admin  http.Handler // the console, which is asked as an operator asks it
}

// readSources reads the file of sources. Its error is about the configuration.
func readSources(file string) ([]*source.Source, error) {
	if file == "" {
		return nil, nil
	}
	return source.Read(file)
}

// open makes the store. It asks nothing before start.
func (s *sources) open(d *daemon) error {
	list, err := readSources(d.config.SourcesFile())
	if err != nil {
		return misconfigured(err)
	}
	s.store = source.New(source.Options{
		Dir: filepath.Join(d.config.DataDir, "sources"), File: d.config.SourcesFile(), Sides: func() source.Sides { return s.sides(d) }, Log: d.log.Named("sources"),
	})
	s.store.Apply(list)
	s.boards = dashboard.Open(dashboard.Options{
		Dir: filepath.Join(d.config.DataDir, "dashboards"), Sources: s.store, Services: d.serviceTitles, Operators: d.auth.operators, Log: d.log.Named("dashboards"),
	})
	return nil
}

// bindReader binds the listener of the sources, if there is one. A client that does not read its answer loses its connection.
func (d *listeners) bindReader(ctx context.Context, log *zap.Logger, c *config.Config) (err error) {
	if c.Reader.Listen == "" {
		return nil
	}
	if d.reader, err = bind(ctx, log, "reader", c.Reader.Listen, c.SocketMode, adminServer(log, d.certificates[2])); err != nil {
		return err
	}
	d.origins = c.Reader.Origins()
	d.reader.bound = access.NewConnLimiter(deadlineListener{d.reader.bound, writeTimeout}, c.Reader.MaxConnections, c.Reader.MaxConnectionsPerAddress)
	return nil
}

// openReader lets the listener of the sources and dashboards answer.
func (d *listeners) openReader(s *sources) {
	if d.reader != nil {
		d.reader.gate.open(console.Reader(s.store.Handler(source.HandlerOptions{Origins: d.origins}), s.boards.Readers(false)))
	}
}

// start asks what is due, until the daemon stops. The console has to be open.
func (s *sources) start(d *daemon) {
	d.group.Go("sources", func(ctx context.Context) error {
		s.store.Run(ctx)
		return nil
	})
}

// routes returns the routes of the admin listener. The answers check tokens themselves: a source has a token of its own.
func (s *sources) routes(d *daemon) []console.Route {
	answers := s.store.Handler(source.HandlerOptions{Operators: d.auth.operators, Admin: true, Origins: d.config.Admin.Origins()})
	return []console.Route{
		{Pattern: "GET /sources/{file}", Handler: answers},
		{Pattern: "OPTIONS /sources/{file}", Handler: answers},
		{Pattern: "GET /api/v1/sources", Scope: access.Read, Handler: s.store.API()},
		{Pattern: "GET /api/v1/sources/{name}", Scope: access.Read, Handler: s.store.API()},
		{Pattern: "GET /api/v1/sources.yaml", Scope: access.Read, Handler: s.store.API()},
		{Pattern: "POST /api/v1/sources/{name}/test", Scope: access.Write, Handler: s.store.API()},
		{Pattern: "POST /api/v1/sources/preview", Scope: access.Write, Handler: s.store.API()},
		{Pattern: "PUT /api/v1/sources/{name}", Scope: access.Write, Handler: s.store.API()},
		{Pattern: "DELETE /api/v1/sources/{name}", Scope: access.Write, Handler: s.store.API()},
		{Pattern: "GET /api/v1/dashboards", Scope: access.Read, Handler: s.boards.Operators()},
		{Pattern: "GET /api/v1/dashboards/{name}", Handler: s.boards.Readers(true)}, // it checks the token: a dashboard has one of its own
		{Pattern: "GET /api/v1/dashboards/{name}/tiles/{tile}", Handler: s.boards.Readers(true)},
		{Pattern: "PUT /api/v1/dashboards/{name}", Scope: access.Write, Handler: s.boards.Operators()},
		{Pattern: "DELETE /api/v1/dashboards/{name}", Scope: access.Write, Handler: s.boards.Operators()},
	}
}

// figures returns how the answers of the sources are.
func (s *sources) figures() console.Sources {
	c := s.store.Counts()
	return console.Sources{Fresh: c.Fresh, Stale: c.Stale, Unanswered: c.Unanswered, Oldest: c.Oldest.Seconds(), Asked: c.Asked, Failed: c.Failed}
}

// serviceTitles returns the configured services with what 3scale's portal calls them, which may be empty.
func (d *daemon) serviceTitles() map[string]string {
	titles := make(map[string]string)
	for _, id := range d.services.ids() {
		titles[id] = ""
	}
	for _, s := range d.services.book.Services() {
		if _, ours := titles[s.ServiceID()]; ours {
			titles[s.ServiceID()] = s.Name
		}
	}
	return titles
}

// sides returns who can be asked now. The ledger may open later.
func (s *sources) sides(d *daemon) source.Sides {
	var all source.Sides
	if l := d.engine.Ledger(); l != nil {
		all.Ledger = s.ledger(d, l)
	}
	if p := d.compare.portal; p != nil {
		all.ThreeScale = source.Portal(p, ledger.ApplicationName, func(service, name string) string {
			if l := d.engine.Ledger(); l != nil {
				if ids, err := l.ApplicationIDs(service, []string{name}); err == nil {
					return ids[0]
				}
			}
			return name
		})
		all.Plans, all.Limits, all.Metrics = p.Plans, p.Limits, p.Metrics
	}
	return all
}

// ledger answers from the ledger: lists and paths by the admin listener's own handlers, figures by one query.
func (s *sources) ledger(d *daemon, l ledger.Book) *source.Side {
	return &source.Side{
		Get: func(ctx context.Context, path string, q url.Values) (json.RawMessage, error) {
			return s.ask(ctx, d, path, q)
		},
		Applications: func(ctx context.Context, service string) ([]analytics.Application, error) {
			return d.analytics().applications(ctx, service)
		},
		Usage: func(ctx context.Context, q source.UsageQuery, add func(string, time.Time, int64)) error {
			query := ledger.Query{
				ServiceID: q.Service, AppID: q.Application, Metric: q.Metric, Since: q.Since, Until: q.Until, AllApplications: q.Application == "" && !q.Each,
			}
			if q.Daily {
				query.By = ledger.ByDay
			}
			return tooMany(l.Rows(query, func(r *ledger.Row) error {
				add(r.AppID, r.Time, r.Delivered)
				return ctx.Err()
			}))
		},
		Top: func(_ context.Context, q source.UsageQuery, most int) (map[string]int64, error) {
			return topOf(l, ledger.TopQuery{ServiceID: q.Service, Metric: q.Metric, Since: q.Since, Until: q.Until, Most: most})
		},
	}
}

// ask puts a GET to the console, as an operator of this machine.
func (s *sources) ask(ctx context.Context, d *daemon, path string, q url.Values) (json.RawMessage, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+d.auth.local)
	w := respond.NewRecorder()
	s.admin.ServeHTTP(w, r)
	if w.Status == http.StatusOK {
		return w.Body.Bytes(), nil
	}
	var said struct{ Detail, Error, Status string }
	_ = json.Unmarshal(w.Body.Bytes(), &said) // it may be plain text
	text := said.Detail + said.Error
	if text == "" {
		text = string(bytes.TrimSpace(w.Body.Bytes()[:min(w.Body.Len(), 200)]))
	}
	return nil, fmt.Errorf("%s: %d %s", path, w.Status, text)
}
