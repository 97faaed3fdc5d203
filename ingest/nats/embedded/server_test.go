package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

// What a stream acknowledged is there after a restart.
func TestStoreSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	js := connect(t, s)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "usage.1001", []byte("x"))
	require.NoError(t, err)
	stop(t, s)

	stream, err := connect(t, start(t, dir)).Stream(t.Context(), "USAGE")
	require.NoError(t, err)
	assert.Equal(t, uint64(1), stream.CachedInfo().State.Msgs)
}

func connect(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	client, err := nats.Connect("nats://" + s.Address())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	js, err := jetstream.New(client)
	require.NoError(t, err)
	return js
}

func TestAPortThatIsTaken(t *testing.T) {
	s := start(t, t.TempDir())
	assert.True(t, s.Loopback())
	_, err := embedded.Start(t.Context(), embedded.Options{Address: s.Address(), StoreDir: t.TempDir()})
	require.EqualError(t, err, "embedded NATS server: "+s.Address()+": address already in use")
}

// A store that cannot be used is an error, not a server without one.
func TestAStoreThatIsNone(t *testing.T) {
	_, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: "/dev/null/nats"})
	require.ErrorContains(t, err, "embedded NATS server")
}
