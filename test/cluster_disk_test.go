package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/spool/disk"
)

// openDisk makes a stream with three copies and opens a disk in it, on a connection to the server that is so many behind the stream's
// leader. It returns that server's number.
func openDisk(t *testing.T, c *natsCluster, behind int, patience time.Duration) (d *jetdisk.Disk, server int) {
	t.Helper()
	js := diskServer(t, c, 0)
	var stream jetstream.Stream
	var err error
	eventually(t, 30*time.Second, "the servers know each other", func() bool { // until then there are no suitable peers for three copies
		stream, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "D", Subjects: []string{"d.>"}, Replicas: natsServers})
		return err == nil
	})
	_, err = fmt.Sscanf(stream.CachedInfo().Cluster.Leader, "nats-%d", &server)
	require.NoError(t, err)
	server = (server + behind) % natsServers
	d, err = jetdisk.Open(t.Context(), jetdisk.Options{
		JetStream: diskServer(t, c, server), Stream: "D", Prefix: "d.0", CacheSize: 1, Patience: patience,
	})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d, server
}

// diskServer connects to one server.
func diskServer(t *testing.T, c *natsCluster, i int) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect("nats://"+c.clients[i].proxy.Listen, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

// diskFile makes a file with a few messages.
func diskFile(t *testing.T, d *jetdisk.Disk) disk.File {
	t.Helper()
	f, err := d.OpenFile("/s/1", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	for i := range 10 {
		_, err := f.WriteAt([]byte("synced"), int64(6*i))
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	return f
}

// TestDiskReadsWaitForServers: while two of three servers are away, requests to read are answered 503, and neither is what they say
// read, nor is it damaged: the read waits.
func TestDiskReadsWaitForServers(t *testing.T) {
	t.Parallel()
	c := newNATSCluster(t)
	d, kept := openDisk(t, c, 1, 40*time.Second)
	f := diskFile(t, d)
	stream, err := diskServer(t, c, kept).Stream(t.Context(), "D")
	require.NoError(t, err)
	a, b := (kept+1)%natsServers, (kept+2)%natsServers
	c.stop(a)
	c.stop(b)
	eventually(t, 60*time.Second, "requests are answered 503", func() bool {
		_, err := stream.GetMsg(t.Context(), 1)
		var api *jetstream.APIError
		return errors.As(err, &api) && api.Code == http.StatusServiceUnavailable
	})
	read := make(chan error, 1)
	p := make([]byte, 6)
	go func() { // ends with the read
		_, err := f.ReadAt(p, 12)
		read <- err
	}()
	select {
	case err := <-read:
		t.Fatalf("the read did not wait: %v", err)
	case <-time.After(2 * time.Second):
	}
	c.start(a)
	c.start(b)
	require.NoError(t, <-read)
	assert.Equal(t, "synced", string(p))
}

// TestDiskWritesWaitForFollowers: the servers' followers are slow for 3 s, longer than one attempt to write takes. The second attempt
// is refused, since the first is in process; that decides nothing.
func TestDiskWritesWaitForFollowers(t *testing.T) {
	t.Parallel()
	c := newNATSCluster(t)
	d, _ := openDisk(t, c, 0, 0)
	f := diskFile(t, d)
	for _, routes := range c.routes {
		for _, r := range routes {
			if r != nil {
				r.worsen(toxic{Type: "latency", Stream: "upstream", Attributes: map[string]int{"latency": 3000}})
			}
		}
	}
	_, err := f.WriteAt([]byte("stalls"), 0)
	require.NoError(t, err)
	begun := time.Now()
	require.NoError(t, f.Sync(), "after %v", time.Since(begun))
	assert.Greater(t, time.Since(begun), 2*time.Second, "the followers were slow")
	require.NoError(t, d.Dead())
}
