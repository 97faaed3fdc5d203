package jetdisk_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connect runs a server with a stream for disks, and returns a connection.
func connect(t testing.TB) jetstream.JetStream {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	conn, err := nats.Connect("nats://" + s.Address())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "R", Subjects: []string{"r.>"}, Discard: jetstream.DiscardNew})
	require.NoError(t, err)
	return js
}

func open(t testing.TB, js jetstream.JetStream) *jetdisk.Disk {
	t.Helper()
	d, err := jetdisk.Open(t.Context(), jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0", Message: 1000, Patience: 2 * time.Second, CacheSize: 4000})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

const readWrite = os.O_RDWR | os.O_CREATE

func openFile(t testing.TB, d *jetdisk.Disk, name string) disk.File {
	t.Helper()
	f, err := d.OpenFile(name, readWrite, 0o600)
	require.NoError(t, err)
	return f
}

func content(t testing.TB, d *jetdisk.Disk, name string) []byte {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); err != io.EOF {
		require.NoError(t, err)
		require.EqualValues(t, size, n)
	}
	return p
}

// TestFilesAreTheBytesWritten: random writes, cuts and syncs, beside an array; after a takeover, what was synced.
func TestFilesAreTheBytesWritten(t *testing.T) {
	js, r := connect(t), rand.New(rand.NewPCG(1, 2))
	d := open(t, js)
	var now, synced []byte
	f := openFile(t, d, "/a/file")
	for i := range 600 {
		switch r.IntN(12) {
		case 0:
			size := r.IntN(5000)
			require.NoError(t, f.Truncate(int64(size)))
			now = append(now, make([]byte, max(0, size-len(now)))...)[:size]
		case 1:
			require.NoError(t, f.Sync())
			synced = append([]byte(nil), now...)
		case 2:
			if i%7 == 0 {
				d = open(t, js)
				require.Equal(t, synced, content(t, d, "/a/file"), "step %d", i)
				now, f = append([]byte(nil), synced...), openFile(t, d, "/a/file")
			}
		default:
			p := make([]byte, 1+r.IntN(400))
			for j := range p {
				p[j] = byte(r.Uint32())
			}
			off := r.IntN(4000)
			_, err := f.WriteAt(p, int64(off))
			require.NoError(t, err)
			now = append(now, make([]byte, max(0, off+len(p)-len(now)))...)
			copy(now[off:], p)
		}
		if i%10 == 0 {
			require.Equal(t, append([]byte{}, now...), content(t, d, "/a/file"), "step %d", i)
		}
	}
}

// TestNames: the directory, before and after a takeover, and over a compaction.
func TestNames(t *testing.T) {
	js := connect(t)
	d := open(t, js)
	for i := range 700 {
		f := openFile(t, d, fmt.Sprintf("/s/%d", i))
		_, err := f.WriteAt([]byte{byte(i)}, 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		if i >= 3 {
			require.NoError(t, d.Remove(fmt.Sprintf("/s/%d", i-3)))
		}
	}
	require.NoError(t, d.Rename("/s/699", "/s/698"))
	_, err := d.OpenFile("/s/699", os.O_RDONLY, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	for range 2 {
		entries, err := d.ReadDir("/s")
		require.NoError(t, err)
		assert.Equal(t, []disk.Entry{{Name: "697", Size: 1}, {Name: "698", Size: 1}}, entries)
		assert.Equal(t, []byte{byte(699 % 256)}, content(t, d, "/s/698"))
		d = open(t, js)
	}
	stream, err := js.Stream(t.Context(), "R")
	require.NoError(t, err)
	assert.Less(t, stream.CachedInfo().State.Msgs, uint64(1100), "what is over is let go")
}

// TestOwnerBefore: an owner whose disk was taken over can neither write nor create files, and the new owner sees all that was
// acknowledged to him.
func TestOwnerBefore(t *testing.T) {
	js := connect(t)
	old := open(t, js)
	f := openFile(t, old, "/s/1")
	_, err := f.WriteAt([]byte("kept"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	_, err = f.WriteAt([]byte("lost"), 4)
	require.NoError(t, err)
	d := open(t, js)
	assert.Equal(t, "kept", string(content(t, d, "/s/1")))
	require.ErrorIs(t, f.Sync(), jetdisk.ErrFenced)
	require.ErrorIs(t, old.Dead(), jetdisk.ErrFenced)
	_, err = old.OpenFile("/s/2", readWrite, 0)
	require.ErrorIs(t, err, jetdisk.ErrFenced)
	require.ErrorIs(t, old.Remove("/s/1"), jetdisk.ErrFenced)
	require.ErrorIs(t, old.Rename("/s/1", "/s/3"), jetdisk.ErrFenced)
	assert.Equal(t, "kept", string(content(t, d, "/s/1")))
	require.NoError(t, openFile(t, d, "/s/1").Sync(), "the new owner goes on")
}

// TestTakeoverUnderLoad: while one writes as fast as it can, another takes over: what was acknowledged is there.
func TestTakeoverUnderLoad(t *testing.T) {
	js := connect(t)
	for round := range 20 {
		d := open(t, js)
		name := fmt.Sprintf("/s/%d", round)
		f, done := openFile(t, d, name), make(chan int)
		go func() { // ends once it is fenced
			acknowledged := 0
			for {
				_, _ = f.WriteAt([]byte{byte(acknowledged + 1)}, int64(acknowledged))
				if f.Sync() != nil {
					done <- acknowledged
					return
				}
				acknowledged++
			}
		}()
		next := open(t, js)
		acknowledged := <-done
		got := content(t, next, name)
		require.GreaterOrEqual(t, len(got), acknowledged)
		require.LessOrEqual(t, len(got), acknowledged+1, "and at most what was on its way")
		for i, b := range got {
			require.Equal(t, byte(i+1), b)
		}
	}
}

// TestOpenTakesWhatItCan: more than a server lets a client leave waiting (64 MiB) is on the disk. Who asks for all of it
// at once is cut off, again and again, with everything else on that connection.
func TestOpenTakesWhatItCan(t *testing.T) {
	js := connect(t)
	o := jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0"}
	d, err := jetdisk.Open(t.Context(), o)
	require.NoError(t, err)
	f, large := openFile(t, d, "/large"), make([]byte, 500_000)
	for i := range 200 {
		_, err := f.WriteAt(large, int64(i*len(large)))
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	d.Close()
	d, err = jetdisk.Open(t.Context(), o)
	require.NoError(t, err)
	defer d.Close()
	size, err := openFile(t, d, "/large").Size()
	require.NoError(t, err)
	assert.EqualValues(t, 200*len(large), size)
	assert.Zero(t, js.Conn().Stats().Reconnects, "times the connection was cut")
}
