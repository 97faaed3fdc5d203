package daemon

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// fixtureNames are the metrics and methods of the sandbox's services.
var fixtureNames = []string{"hits", "search", "search_deep", "other", "transfer"}

// readBook is the catalogue of the sandbox's portal, read once.
func readBook(t *testing.T) *portal.Book {
	t.Helper()
	server := httptest.NewServer(sandbox.New(sandbox.Options{}))
	t.Cleanup(server.Close)
	client, err := portal.New(portal.Options{URL: server.URL, Token: "atoken", PerSecond: 10_000})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	book := portal.NewBook(client, ledger.ApplicationName, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	book.Run(ctx, time.Hour, cancel)
	require.False(t, book.At().IsZero(), "the catalogue was read")
	return book
}

// metricsEngine remembers the services that it was told of.
type metricsEngine struct {
	engine
	services []event.Service
}

func (e *metricsEngine) SetMetrics(list []event.Service) { e.services = list }

// TestServicesWithMetrics: with portal.validate, a service without metrics of its own may use those of the catalogue; one that
// the catalogue does not have, and one with a list of its own, stay as they are configured.
func TestServicesWithMetrics(t *testing.T) {
	configured := []event.Service{{ID: "1001"}, {ID: "1002", Metrics: []string{"mine"}}, {ID: "unknown"}}
	s := services{configured: configured, book: readBook(t)}
	assert.Equal(t, configured, s.withMetricsLocked(), "without portal.validate the catalogue restricts nothing")

	s.validate = true
	list := s.withMetricsLocked()
	require.Len(t, list, 3)
	assert.ElementsMatch(t, fixtureNames, list[0].Metrics)
	assert.Equal(t, []string{"mine"}, list[1].Metrics)
	assert.Empty(t, list[2].Metrics)
	assert.Empty(t, configured[0].Metrics, "the configuration is not changed")
}

// TestCatalogueRead: once the catalogue was read, intake and authorizations know its metrics, with portal.validate only.
func TestCatalogueRead(t *testing.T) {
	for _, validate := range []bool{true, false} {
		e := &metricsEngine{}
		d := &daemon{log: zap.NewNop(), engine: e, handler: ingest.NewHandler(ingest.Options{Log: zap.NewNop()})}
		d.services = services{configured: []event.Service{{ID: "1001"}}, book: readBook(t), validate: validate}
		d.services.catalogueRead(d)
		if !validate {
			assert.Nil(t, e.services)
			continue
		}
		require.Len(t, e.services, 1)
		assert.ElementsMatch(t, fixtureNames, e.services[0].Metrics)
	}
}

// TestWitness: the witness metric is reported for services that have it as a metric of their own. That services lack it is
// logged when the list of them changes.
func TestWitness(t *testing.T) {
	book := readBook(t)
	core, logs := observer.New(zapcore.InfoLevel)
	w := witness{metric: "transfer", log: zap.New(core)}
	assert.Equal(t, "transfer", w.of(book, "1001"))
	assert.Empty(t, w.of(book, "unknown"), "a service that the catalogue does not have")
	assert.Empty(t, (&witness{metric: "search"}).of(book, "1001"), "a method counts for its parent")
	assert.Empty(t, w.of(nil, "1001"), "no catalogue was read")

	known, mixed := []event.Service{{ID: "1001"}}, []event.Service{{ID: "unknown"}, {ID: "1001"}}
	for _, c := range []struct {
		services []event.Service
		lines    int
	}{{known, 0}, {mixed, 1}, {mixed, 1}, {known, 2}, {known, 2}} {
		w.look(book, c.services)
		assert.Equal(t, c.lines, logs.Len())
	}
	all := logs.All()
	assert.Equal(t, zapcore.WarnLevel, all[0].Level)
	assert.Equal(t, []any{"unknown"}, all[0].ContextMap()["services"])
	assert.Equal(t, zapcore.InfoLevel, all[1].Level)

	none := witness{log: zap.New(core)}
	none.look(book, mixed)
	assert.Equal(t, 2, logs.Len(), "without reconcile.witness nothing is looked for")
}
