package spool_test

import (
	"context"

	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// platform is a disk that ends at any moment, and what the next life finds of it.
type platform interface {
	disk.FS
	Stop()
	Stopped() bool
	StopAfter(changes int)
	Inject(disktest.Fault) (lift func())
	Heal()
	SetCapacity(int64)
	Trace() []string
	// next is the disk of the next life: after a kill the machine went on, otherwise it did not.
	next(kill bool) platform
}

// local is a simulated disk.
type local struct{ *disktest.Disk }

func (l local) next(kill bool) platform {
	if kill {
		return local{l.Kill()}
	}
	return local{l.Crash()}
}

// shared is a disk in JetStream. It ends when another process takes it over, while the one before goes on
// writing and does not know.
type shared struct {
	*jetdisk.Disk
	t       testing.TB
	options jetdisk.Options
	left    atomic.Int64 // changes before it is taken over; negative: as many as it likes
	stopped atomic.Bool
	taking  sync.Mutex // guards heir
	heir    *shared
	failing failing
}

func newShared(t testing.TB, o jetdisk.Options) *shared {
	d, err := jetdisk.Open(context.Background(), o)
	if err != nil {
		panic(err)
	}
	t.Cleanup(d.Close)
	s := &shared{Disk: d, t: t, options: o}
	s.left.Store(-1)
	return s
}

func (s *shared) Stop() {
	s.stopped.Store(true)
	s.taking.Lock()
	defer s.taking.Unlock()
	if s.heir == nil {
		s.heir = newShared(s.t, s.options)
	}
}

func (s *shared) Stopped() bool         { return s.stopped.Load() }
func (s *shared) StopAfter(changes int) { s.left.Store(int64(changes)) }
func (s *shared) SetCapacity(int64)     {}
func (s *shared) Trace() []string       { return nil }

func (s *shared) Inject(f disktest.Fault) func() { return s.failing.add(f) }
func (s *shared) Heal()                          { s.failing.heal() }

func (s *shared) next(bool) platform {
	s.Stop()
	return s.heir
}

// change counts one; at the last, another owner takes the disk over in the middle of everything.
func (s *shared) change() {
	if s.left.Load() >= 0 && s.left.Add(-1) == 0 {
		s.Stop()
	}
}

func (s *shared) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	if flag&os.O_CREATE != 0 {
		s.change()
	}
	if err := s.failing.strike(disktest.Open, name); err != nil {
		return nil, err
	}
	f, err := s.Disk.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &sharedFile{f, s, name}, nil
}

func (s *shared) ReadDir(name string) ([]disk.Entry, error) {
	if err := s.failing.strike(disktest.ReadDir, name); err != nil {
		return nil, err
	}
	return s.Disk.ReadDir(name)
}

func (s *shared) Rename(from, to string) error     { s.change(); return s.Disk.Rename(from, to) }
func (s *shared) Remove(name string) error         { s.change(); return s.Disk.Remove(name) }
func (s *shared) Lock(n string) (disk.Held, error) { return s.Disk.Lock(n) }

type sharedFile struct {
	disk.File
	of   *shared
	name string
}

func (f *sharedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.of.failing.strike(disktest.Read, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *sharedFile) Sync() error { f.of.change(); return f.File.Sync() }

// TestModelOnJetStream is TestModel on disks in JetStream. What ends a life there is that another process takes
// over, with the owner before still at work: nothing that was acknowledged may be missing.
func TestModelOnJetStream(t *testing.T) {
	server, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	conn, err := nats.Connect("nats://" + server.Address())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "M", Subjects: []string{"m.>"}, Storage: jetstream.MemoryStorage})
	require.NoError(t, err)
	crashes, events := 0, 0
	first := uint64(fromEnv(t, "REPORTERD_MODEL_SEED", 1))
	for seed := first; seed < first+uint64(fromEnv(t, "REPORTERD_MODEL_JETSTREAM", 12)); seed++ {
		h := newHistory(seed)
		h.shape.faulty, h.shape.capacity, h.shape.concurrent, h.digs = false, 0, true, true
		h.shape.troubled = seed%2 == 0
		h.disk = newShared(t, jetdisk.Options{JetStream: js, Stream: "M", Prefix: fmt.Sprintf("m.%d", seed), Patience: 5 * time.Second, CacheSize: 64 << 10})
		h.run(t.Context())
		if h.spool != nil {
			_ = h.spool.Close()
		}
		require.Empty(t, h.book.violations, "seed %d: %v", seed, h)
		crashes += h.crashes
		events += len(h.book.entries)
	}
	t.Logf("%d takeovers, %d events", crashes, events)
}
