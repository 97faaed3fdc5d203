package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
)

// producers is how many goroutines the benchmarks append from.
const producers = 64

// cpu returns the processor time the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// share runs n calls on all producers.
func share(n int, call func(worker int)) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for worker := range producers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				call(worker)
			}
		})
	}
	wg.Wait()
}

// BenchmarkAppend shows durable events beside the disk's own speed: the same bytes in writes of the same
// size, each followed by fdatasync.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1} {
		var group int
		b.Run(fmt.Sprintf("spool/%d", size), func(b *testing.B) { group = benchAppend(b, size, "") })
		b.Run(fmt.Sprintf("baseline/%d", size), func(b *testing.B) { benchBaseline(b, size, group) })
	}
	b.Run("ids/100", func(b *testing.B) { benchAppend(b, 100, "id") })
}

// benchAppend returns the bytes of an average group.
func benchAppend(b *testing.B, size int, id string) int {
	s, _, err := Open(Options{Dir: b.TempDir(), DedupeWindow: time.Minute, MaxIDs: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	requests := make([][]event.Event, producers)
	for i := range requests {
		requests[i] = someEvents(size)
	}
	var serial atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	share(b.N, func(worker int) {
		events := requests[worker]
		if id != "" {
			for i := range events {
				events[i].ID = fmt.Sprint(id, serial.Add(1))
			}
		}
		if _, err := s.Append(context.Background(), events); err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
	commits := s.Usage().Commits
	events := float64(b.N * size)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/events, "cpu-ns/event")
	b.ReportMetric(float64(commits.Events)/float64(commits.Groups), "events/commit")
	b.ReportMetric(commits.Fsyncs.Sum/float64(commits.Groups)*1e6, "us/sync")
	return int(commits.Bytes / commits.Groups)
}

// benchBaseline writes and syncs as many bytes, in groups of the same size, from one goroutine.
func benchBaseline(b *testing.B, size, group int) {
	f, err := disk.OS{}.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	_ = f.Allocate(maxSegment)
	e := encode(someEvents(size), false)
	bytes := int64(b.N) * int64(len(e.buf))
	buf := make([]byte, max(group, 1))
	b.ResetTimer()
	before := cpu()
	var off int64
	for left := bytes; left > 0; left -= int64(len(buf)) {
		if off+int64(len(buf)) > maxSegment {
			off = 0
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		off += int64(len(buf))
	}
	b.StopTimer()
	events := float64(b.N * size)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/events, "cpu-ns/event")
}

// BenchmarkReadyWithIDs prints how long a start takes with 5 million event ids in the directory, beside reading their files.
func BenchmarkReadyWithIDs(b *testing.B) {
	const count, frame = 5_000_000, 50_000
	o := Options{Dir: b.TempDir(), DedupeWindow: time.Hour, MaxIDs: 2 * count}
	s, _, err := Open(o)
	require.NoError(b, err)
	now, serial := uint32(time.Now().Unix()), uint64(0)
	for range count / frame {
		entries := make([]byte, 0, frame*idBytes)
		for range frame {
			m := randomHash(serial)
			entries = append(binary.LittleEndian.AppendUint32(entries, now), m[:]...)
			serial++
		}
		require.NoError(b, s.ids.commitLocked(entries))
	}
	require.NoError(b, s.Close())
	for range b.N {
		begun, used := time.Now(), cpu()
		s, _, err = Open(o)
		require.NoError(b, err)
		b.ReportMetric(time.Since(begun).Seconds(), "s")
		b.ReportMetric((cpu() - used).Seconds(), "cpu-s")
		require.Equal(b, count, s.Usage().IDs)
		require.NoError(b, s.Close())
		begun = time.Now()
		files, err := filepath.Glob(filepath.Join(o.Dir, "ids", "*.seg"))
		require.NoError(b, err)
		for _, name := range files {
			_, err := os.ReadFile(name)
			require.NoError(b, err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s-baseline")
	}
}

// BenchmarkManifest is what the manifest adds to each group commit.
func BenchmarkManifest(b *testing.B) {
	s, _, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	extent := s.journal.log.Extent()
	b.ReportAllocs()
	for b.Loop() {
		s.manifest.note(wal.Journal, extent)
	}
}
