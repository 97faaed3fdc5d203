package spool

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew; a new format needs a new version number")

const goldenDir = "testdata/golden"

// goldenEvents has every field in use.
func goldenEvents() []event.Event {
	return []event.Event{
		{ServiceID: "1001", ID: "id-1", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "app1"}, Timestamp: 946684800, Usage: threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 300}}}},
		{ServiceID: "2555417", FlatUsage: true, Credentials: threescale.Credentials{ServiceToken: "token", ProviderKey: "key"},
			Transaction: threescale.Transaction{Application: threescale.Application{UserKey: "uk"}, Timestamp: -1, Code: 404, Usage: threescale.Usage{{Metric: "hits", Value: threescale.MaxValue}}}},
		{ServiceID: "1001", Transaction: threescale.Transaction{Application: threescale.Application{ID: "app2"}, Timestamp: 946684860}},
	}
}

// writeGoldenSources writes messages of a stream, in fake time: behind a cut and in front of it, taken as a whole and in parts.
func writeGoldenSources(t *testing.T, dir string) {
	s, _, err := Open(Options{Dir: dir, DedupeWindow: time.Hour, SegmentBytes: minSegment})
	require.NoError(t, err)
	appendAll(t, s, joined(message(7, 300, 250, "id-1", ""), message(7, 301, 250, ""), goldenEvents()[1:2]))
	parts := message(7, 303, 250, "")
	parts[0].Source.Next = 100_000
	appendAll(t, s, parts)
	cutAll(t, s)
	appendAll(t, s, joined(message(7, 305, 260, ""), message(7, 306, 260, "id-1")))
	require.NoError(t, s.Close())
	for _, name := range []string{"lock", identityName, manifestNames[0], manifestNames[1]} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	for _, log := range []string{"batches", "ids"} {
		require.NoError(t, os.Remove(filepath.Join(dir, log, wal.SpareName)))
	}
}

// TestFormatOfSources pins every byte on disk about messages of streams, and reads what was written once.
func TestFormatOfSources(t *testing.T) {
	golden, dir := goldenDir+"-sources", t.TempDir()
	if *update {
		require.NoError(t, os.RemoveAll(golden))
		dir = golden
	}
	synctest.Test(t, func(t *testing.T) { writeGoldenSources(t, dir) })
	assert.Equal(t, contents(t, golden), contents(t, dir))
	dir = t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(golden)))
	s, found := open(t, Options{Dir: dir})
	assert.Empty(t, found.Damaged)
	known := func(sequence uint64, next uint32) bool {
		return s.journal.sources.has(event.Source{Stream: 7, Sequence: sequence, Next: next})
	}
	for sequence := uint64(255); sequence < 310; sequence++ {
		assert.Equal(t, sequence <= 260 || sequence == 300 || sequence == 301 || sequence == 305 || sequence == 306, known(sequence, 0), "message %d", sequence)
	}
	assert.True(t, known(303, 100_000))
	assert.False(t, known(303, 100_001))
}

// writeGolden writes one of everything, in fake time.
func writeGolden(t *testing.T, dir string) {
	s, _, err := Open(Options{Dir: dir, DedupeWindow: time.Hour, SegmentBytes: minSegment})
	require.NoError(t, err)
	appendAll(t, s, goldenEvents())
	cut, err := s.BeginCut(3)
	require.NoError(t, err)
	for _, b := range batchesOf(goldenEvents()[:2]) {
		require.NoError(t, cut.Add(b))
	}
	require.NoError(t, cut.Commit(1))
	first := s.Batches()[0].ID
	require.NoError(t, s.Attempt(first, time.Now()))
	require.NoError(t, s.Answered(first))
	require.NoError(t, s.Attempt(first, time.Now()))
	require.NoError(t, s.Ambiguous(first))
	require.NoError(t, s.batches.copyForward(s.batches.index.live[first]))
	second := s.Batches()[1].ID
	require.NoError(t, s.Resolve(second, Resolution{Children: [][]int{{0}}}))
	appendAll(t, s, append(goldenEvents()[1:], goldenEvents()[0]))
	cutAll(t, s)
	lost := s.Batches()
	e := s.batches.index.live[lost[len(lost)-1].ID] // as if it were damaged
	require.NoError(t, s.batches.log.KeepRange(e.segment, e.offset, e.offset+int64(e.length)))
	require.NoError(t, s.batches.write(&record{kind: recordLost, id: e.id}))
	require.NoError(t, s.Resolve(s.Batches()[1].ID, Resolution{Dead: []DeadLetter{{
		Index: 0, Reason: Reason{Code: "metric_invalid", Message: "metric \"a\" is invalid"}, Answer: Answer{Status: 404, Code: "metric_invalid"},
	}}}))
	require.NoError(t, s.Close())
	for _, name := range []string{"lock", identityName, manifestNames[0], manifestNames[1]} { // of one directory, in one run of the machine
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	for _, log := range []string{"batches", "ids"} {
		require.NoError(t, os.Remove(filepath.Join(dir, log, wal.SpareName)))
	}
}

// contents returns the files under a directory.
func contents(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		relative, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(relative)] = string(data)
		return err
	}))
	return files
}

// TestFormat pins every byte on disk.
func TestFormat(t *testing.T) {
	dir := t.TempDir()
	if *update {
		require.NoError(t, os.RemoveAll(goldenDir))
		dir = goldenDir
	}
	synctest.Test(t, func(t *testing.T) { writeGolden(t, dir) })
	assert.Equal(t, contents(t, goldenDir), contents(t, dir))
}

// TestOldDirectory reads what version 1 wrote, and what it wrote before there were account records. An older
// reporterd passes over those.
func TestOldDirectory(t *testing.T) {
	for _, written := range []string{goldenDir, goldenDir + "-unaccounted"} {
		t.Run(filepath.Base(written), func(t *testing.T) { readsOldDirectory(t, written) })
	}
}

func readsOldDirectory(t *testing.T, written string) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(written)))
	s, found := open(t, Options{Dir: dir, DedupeWindow: 100 * 365 * 24 * time.Hour})
	assert.Empty(t, found.Damaged)
	assert.Empty(t, found.Torn)
	assert.Equal(t, Counts{Accepted: 5, Duplicates: 1, Delivered: 1, Dead: 1, Pending: 2, Ambiguous: 1, Lost: 1}, checkLaw(t, s, 1))
	infos := s.Batches()
	require.Len(t, infos, 2)
	assert.Equal(t, []int{2, 1}, []int{infos[0].Attempts, infos[0].Ambiguous})
	b, err := s.Load(infos[1].ID)
	require.NoError(t, err)
	assert.Equal(t, goldenEvents()[1].Transaction, b.Transactions[0].Transaction)
	assert.Equal(t, LaneKey{ServiceID: "2555417", Credentials: goldenEvents()[1].Credentials}, b.Lane)
	assert.Equal(t, 1, appendAll(t, s, identified("id-1")), "ids are remembered")
}
