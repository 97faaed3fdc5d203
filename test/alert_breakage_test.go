package test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// brokenDisk: two directories are gone for a while, so that no segment and no dead letter can be made. Producers are
// told; who publishes nonsense and waits for no answer is not.
func (x *alertTrial) brokenDisk() {
	x.settings.set("spool.max_bytes", "4MiB").set("batch.flush_interval", "1h").set("nats.embedded", true).set("nats.listen", "127.0.0.1:0")
	x.begin()
	conn, err := nats.Connect("nats://" + x.daemon.await("nats"))
	require.NoError(x.t, err)
	defer conn.Close()
	rooms := []string{filepath.Join(x.settings.dataDir(), "journal"), filepath.Join(x.settings.dataDir(), "deadletters")}
	for _, room := range rooms {
		require.NoError(x.t, os.Rename(room, room+".away"))
	}
	events := make([]event, 1000)
	for i := range events {
		events[i] = hit("1001", "bulk1")
	}
	stop := x.meanwhile(func(int) {
		assert.Contains(x.t, []int{http.StatusAccepted, http.StatusServiceUnavailable}, x.daemon.offer(events...).status)
		assert.NoError(x.t, conn.Publish("usage.1001", []byte("nonsense")))
	})
	x.fire("DiskFailing", "NATSDropping")
	for _, room := range rooms {
		require.NoError(x.t, os.Rename(room+".away", room))
	}
	eventually(x.t, 20*time.Second, "it takes events again", func() bool { return x.daemon.offer(hit("1001", "bulk1")).status == http.StatusAccepted })
	stop()
	x.clear("DiskFailing", "NATSDropping")
	s := x.daemon.drained(20 * time.Second)
	assert.Equal(x.t, s.Events.Accepted, s.Events.Delivered, "what was acknowledged is delivered")
}

// unreadableDisk: the segment of a sealed batch is moved away while its lane retries. What was acknowledged waits.
func (x *alertTrial) unreadableDisk() {
	x.begin()
	x.faults(map[string]any{"status": 503}, "report")
	require.Equal(x.t, http.StatusAccepted, x.daemon.offer(hit("1001", "bulk1")).status)
	x.daemon.flush()
	segments, err := filepath.Glob(filepath.Join(x.settings.dataDir(), "batches", "*.seg"))
	require.NoError(x.t, err)
	require.NotEmpty(x.t, segments)
	for _, name := range segments {
		require.NoError(x.t, os.Rename(name, name+".away"))
	}
	x.fire("DiskUnreadable")
	for _, name := range segments {
		require.NoError(x.t, os.Rename(name+".away", name))
	}
	x.backend.heal()
	x.clear("DiskUnreadable")
	s := x.daemon.drained(20 * time.Second)
	assert.Equal(x.t, s.Events.Accepted, s.Events.Delivered, "what was acknowledged is delivered")
}

// crowd: somebody opens connections and says nothing.
func (x *alertTrial) crowd() {
	x.settings.set("limits.max_connections", 4)
	x.begin()
	address := strings.TrimPrefix(x.daemon.traffic, "http://")
	var open []net.Conn
	stop := x.meanwhile(func(int) {
		if c, err := net.Dial("tcp", address); err == nil {
			open = append(open, c)
		}
	})
	x.fire("Crowded")
	stop()
	x.clear("Crowded")
	for _, c := range open {
		_ = c.Close()
	}
}
