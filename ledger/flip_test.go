package ledger

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
)

// filled is the file of a ledger of two services, 40 applications and 40 hours, with evidence and some days pruned.
func filled(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	l.db.NoSync = true
	r := &run{Ledger: l, next: 1}
	for hour := range 40 {
		for service := range 2 {
			b := benchBatch(hour, service*20, 20)
			b.Lane.ServiceID = fmt.Sprint(1001 + service)
			kinds := []spool.BatchEventKind{spool.BatchSealed, spool.BatchAmbiguous, spool.BatchAmbiguous, spool.BatchEnded}
			if hour%3 > 0 {
				kinds = []spool.BatchEventKind{spool.BatchSealed, spool.BatchEnded}
			}
			for _, kind := range kinds {
				happens(t, r, kind, b)
			}
		}
	}
	require.True(t, r.drop(t.Context(), bucketDays, row{day: dayOf(benchFirst) + 1}.key()))
	require.NoError(t, l.Close())
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	return data
}

// answers are what a ledger says, a line for each fact, or the first error of a question for it.
func answers(l *Ledger) map[string]string {
	all := map[string]string{}
	said := func(question string, err error) {
		if err != nil {
			all[question] = "error"
		}
	}
	for name, q := range map[string]Query{
		"rows": {}, "sums": {AllApplications: true}, "months": {By: ByMonth}, "app": {ServiceID: "1001", AppID: "app000007"},
		"metric": {ServiceID: "1002", Metric: "hits", By: ByDay},
	} {
		sum := fnv.New64a()
		said(name, l.Rows(q, func(r *Row) error {
			_, err := fmt.Fprintln(sum, r.Time.Unix(), r.ServiceID, r.AppID, r.Metric, r.Figures)
			return err
		}))
		if all[name] == "" {
			all[name] = fmt.Sprint(sum.Sum64())
		}
	}
	sum := fnv.New64a()
	said("batches", l.Batches("", benchFirst, func(r *BatchRecord) error {
		delivered, ambiguous := int64(0), int64(0)
		for _, c := range r.Cells {
			delivered, ambiguous = delivered+c.Delivered*int64(1+len(c.Metric)), ambiguous+c.Ambiguous
		}
		_, err := fmt.Fprintln(sum, r.ID, r.ServiceID, r.Sealed.Unix(), r.Ambiguous, len(r.Cells), delivered, ambiguous)
		return err
	}))
	if all["batches"] == "" {
		all["batches"] = fmt.Sprint(sum.Sum64())
	}
	services, err := l.Services(time.Time{})
	all["services"] = fmt.Sprint(services)
	said("services", err)
	apps, err := l.Applications("1001", time.Time{})
	all["applications"] = fmt.Sprint(apps)
	said("applications", err)
	return all
}

// TestFlippedBits: one flipped bit anywhere in ledger.db, found at the start or while it is in use, never gives a figure that is
// wrong and not marked. What does not hold is repaired: the ledger answers and books again.
func TestFlippedBits(t *testing.T) {
	const flips = 240
	data, random := filled(t), rand.New(rand.NewPCG(26, 10))
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	open := func() *Ledger {
		l, err := Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
		require.NoError(t, err)
		return l
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
	l := open()
	truth := answers(l)
	require.False(t, l.Stats().Missed)
	require.NoError(t, l.Close())
	counted := map[string]int{}
	for n := range flips {
		offset, bit := random.IntN(len(data)), byte(1)<<random.IntN(8)
		running := n%2 == 1
		name := fmt.Sprintf("bit %d of byte %d, running: %v", bit, offset, running)
		flipped := append([]byte(nil), data...)
		if !running {
			flipped[offset] ^= bit
		}
		require.NoError(t, os.WriteFile(path, flipped, 0o600))
		l := open()
		r := &run{Ledger: l, spool: nil}
		if running {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = file.WriteAt([]byte{data[offset] ^ bit}, int64(offset))
			require.NoError(t, err)
			require.NoError(t, file.Close())
			l.setCheckDue(time.Time{})
			if checkFile(t.Context(), path) != nil {
				counted["noticed by the check"]++
				l.suspect(errDamaged)
				why := l.readable()
				assert.ErrorIs(t, why, ErrDamaged, name)
				for question, answer := range answers(l) {
					assert.Equal(t, "error", answer, "%s: %s", name, question)
				}
				_ = guarded(l.db.Close)
				l.db = nil
				_, err := l.repair(t.Context(), errDamaged)
				require.NoError(t, err)
				l = open()
				r.Ledger = l
			}
		}
		now := answers(l)
		for question, want := range truth {
			if now[question] != want && now[question] != "error" && !l.Stats().Missed {
				t.Errorf("%s: %s is wrong and not marked", name, question)
			}
		}
		if l.Stats().Missed {
			counted["repaired and marked"]++
			if now["rows"] == truth["rows"] {
				counted["repaired without a loss of rows"]++
			}
		} else {
			counted["harmless"]++
		}
		r.next, r.gathered = 1<<20, []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: benchBatch(71, 0, 20)}}
		require.NoError(t, r.commit(t.Context()), name)
		require.NoError(t, l.Close(), name)
		old, err := filepath.Glob(path + ".*")
		require.NoError(t, err)
		for _, file := range old {
			require.NoError(t, os.Remove(file))
		}
	}
	t.Logf("%d bytes, %d flips: %v", len(data), flips, counted)
	assert.Positive(t, counted["repaired and marked"])
}
