package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
)

// TestLetterIndexIsSorted compares the index with a set of ids over random changes.
func TestLetterIndexIsSorted(t *testing.T) {
	t.Parallel()
	var x letterIndex
	known, random := make(map[string]bool), rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		id := letterID(BatchID{Position: Position(random.IntN(6000))}, 0)
		if random.IntN(3) == 0 {
			x.remove(id)
			delete(known, id)
		} else {
			x.put(indexedLetter{id: id})
			known[id] = true
		}
	}
	var ids []string
	x.each("", func(l *indexedLetter) bool { ids = append(ids, l.id); return true })
	assert.True(t, slices.IsSorted(ids))
	assert.Len(t, ids, len(known))
	for _, b := range x.blocks {
		assert.LessOrEqual(t, len(b), 2*blockLetters)
	}
	for i := 100; i < len(ids); i += 100 {
		found := x.after(&DeadLetterQuery{Cursor: ids[i-1]}, 3)
		require.Equal(t, ids[i], found[0].id)
		require.NotNil(t, x.find(ids[i]))
	}
}

// countingFS counts the operations on files.
type countingFS struct {
	disk.OS
	operations atomic.Int64
}

func (c *countingFS) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	c.operations.Add(1)
	return c.OS.OpenFile(name, flag, perm)
}

func (c *countingFS) ReadDir(name string) ([]disk.Entry, error) {
	found, err := c.OS.ReadDir(name)
	c.operations.Add(1 + int64(len(found)))
	return found, err
}

// fillLetters writes the files of so many letters into a directory without a spool.
func fillLetters(t testing.TB, dir string, count int) {
	require.NoError(t, os.MkdirAll(filepath.Join(dir, lettersDir), 0o700))
	for i := range count {
		id := letterID(BatchID{Position: Position(i + 1)}, 0)
		reason := "application_not_found"
		if i%1000 == 999 {
			reason = "metric_invalid"
		}
		text := fmt.Sprintf(`{"id": %q, "service_id": "1001", "app_id": "a%d", "usage": {"hits": 1}, "events": 1, "timestamp": "2026-11-21T20:00:00Z",
			"reason": {"code": %q}, "attempts": 1, "created_at": "2026-11-21T20:01:00Z"}`, id, i, reason)
		require.NoError(t, os.WriteFile(filepath.Join(dir, lettersDir, id+letterSuffix), []byte(text), 0o600))
	}
}

// TestPagesOfLettersDoNotGrow: with twice as many letters the same page takes as many operations on files, a filter that selects few
// of them opens no other files once they were read, and they take their blocks of the quota.
func TestPagesOfLettersDoNotGrow(t *testing.T) {
	t.Parallel()
	work := func(count int) (page, filtered int64) {
		files := &countingFS{}
		dir := t.TempDir()
		fillLetters(t, dir, count)
		s, _ := open(t, Options{Dir: dir, FS: files})
		for s.letters.learnt <= letterID(BatchID{Position: Position(count)}, 0) {
			s.letters.learnSome(learnLetters)
		}
		assert.EqualValues(t, count, s.letters.count.Load())
		cost := func(q DeadLetterQuery, want int) int64 {
			before := files.operations.Load()
			found, _, err := s.DeadLetters(q)
			require.NoError(t, err)
			require.Len(t, found, want)
			return files.operations.Load() - before
		}
		middle := letterID(BatchID{Position: Position(count / 2)}, 0)
		page = cost(DeadLetterQuery{Limit: 50}, 50) + cost(DeadLetterQuery{Limit: 50, Cursor: middle}, 50)
		filtered = cost(DeadLetterQuery{Limit: 1, Reason: "metric_invalid"}, 1) + cost(DeadLetterQuery{Until: time.Unix(1, 0)}, 0)
		return page, filtered
	}
	page, filtered := work(2000)
	pageOfTwice, filteredOfTwice := work(4000)
	t.Logf("two pages take %d and %d operations, two filters %d and %d", page, pageOfTwice, filtered, filteredOfTwice)
	assert.LessOrEqual(t, pageOfTwice, page)
	assert.LessOrEqual(t, filteredOfTwice, filtered)
	assert.LessOrEqual(t, page, int64(102))
}

func TestLettersTakeTheirBlocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, _ := open(t, Options{Dir: dir})
	before := empty.Usage().Bytes
	require.NoError(t, empty.Close())
	fillLetters(t, dir, 10)
	s, _ := open(t, Options{Dir: dir})
	assert.EqualValues(t, 10*fileBlock, s.Usage().Bytes-before)
	_, err := s.Drop([]string{letterID(BatchID{Position: 3}, 0)})
	require.NoError(t, err)
	assert.EqualValues(t, 9*fileBlock, s.Usage().Bytes-before)
}

// BenchmarkLetters prints what the first page, a filtered page and reading all letters take, page by page, beside opening and reading
// each of the files once: the baseline of reading all.
func BenchmarkLetters(b *testing.B) {
	const count = 20_000
	dir := b.TempDir()
	fillLetters(b, dir, count)
	s, _, err := Open(Options{Dir: dir})
	require.NoError(b, err)
	defer func() { _ = s.Close() }()
	for range b.N {
		begun := time.Now()
		for _, e := range s.letters.index.after(&DeadLetterQuery{}, count) {
			_, err := os.ReadFile(s.letters.path(e.id + letterSuffix))
			require.NoError(b, err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s-all-baseline")
		begun = time.Now()
		n := 0
		for q := (DeadLetterQuery{Limit: maxLetters}); ; {
			page, next, err := s.DeadLetters(q)
			require.NoError(b, err)
			n += len(page)
			if q.Cursor = next; next == "" {
				break
			}
		}
		require.Equal(b, count, n)
		b.ReportMetric(time.Since(begun).Seconds(), "s-all")
		begun = time.Now()
		_, _, err := s.DeadLetters(DeadLetterQuery{})
		require.NoError(b, err)
		b.ReportMetric(float64(time.Since(begun).Microseconds())/1000, "ms-first")
		begun = time.Now()
		_, _, err = s.DeadLetters(DeadLetterQuery{Reason: "none"})
		require.NoError(b, err)
		b.ReportMetric(float64(time.Since(begun).Microseconds())/1000, "ms-filtered")
	}
}
