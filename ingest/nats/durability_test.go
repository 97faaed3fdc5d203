package nats_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// monitored runs a real server with its monitoring address.
func monitored(t *testing.T, o server.Options) string {
	t.Helper()
	o.Host, o.Port, o.HTTPHost, o.HTTPPort, o.NoSigs, o.NoLog = "127.0.0.1", -1, "127.0.0.1", -1, true, true
	o.StoreDir = t.TempDir()
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	return "http://" + s.MonitorAddr().String()
}

func TestSyncMode(t *testing.T) {
	always := monitored(t, server.Options{JetStream: true, SyncAlways: true})
	lazy := monitored(t, server.Options{JetStream: true, SyncInterval: 30 * time.Second})
	usual := monitored(t, server.Options{JetStream: true})
	without := monitored(t, server.Options{})
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"jetstream":{"config":{"max_memory":1}}}`))
	}))
	t.Cleanup(old.Close)
	for _, c := range []struct {
		name     string
		monitors []string
		longest  time.Duration
		known    bool
		says     string
	}{
		{"synced first", []string{always, always + "/"}, 0, true, "the NATS servers sync to disk before they acknowledge"},
		{"one is lazy", []string{always, lazy}, 30 * time.Second, true, "a power failure can lose what they acknowledged"},
		{"as it comes", []string{usual}, 2 * time.Minute, true, "Set sync_interval: always"},
		{"does not say", []string{old.URL}, 2 * time.Minute, true, "Set sync_interval: always"},
		{"no JetStream", []string{without}, 0, false, "cannot ask how a NATS server syncs"},
		{"no server there", []string{always, "http://127.0.0.1:1"}, 0, false, "cannot ask how a NATS server syncs"},
		{"no server configured", nil, 0, false, "cannot be known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			w := ingestnats.WatchSync(ingestnats.SyncOptions{Monitors: c.monitors, Every: time.Millisecond, Log: zap.New(core)})
			require.Eventually(t, func() bool { return logs.Len() > 0 }, 10*time.Second, time.Millisecond)
			w.Stop()
			longest, known := w.Longest()
			assert.Equal(t, c.known, known)
			assert.Equal(t, c.longest, longest)
			require.Equal(t, 1, logs.Len(), "said once, however often it is asked")
			assert.Contains(t, logs.All()[0].Message, c.says)
		})
	}
}
