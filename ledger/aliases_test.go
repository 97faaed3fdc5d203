package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// hashed is the ledger's name of a user key.
func hashed(userKey string) string { return ApplicationName(threescale.Application{UserKey: userKey}) }

// learn tells the ledger the application of one of the user keys in use. The name of a key means the same application for ever.
func (h *history) learn() {
	key := alias{fmt.Sprintf("s%d", h.rand.IntN(2)), hashed(fmt.Sprintf("secret key %d", h.rand.IntN(2)))}
	if h.ids[key] == "" {
		h.ids[key] = fmt.Sprintf("a%d", h.rand.IntN(4)) // one of them is not reported by its id
	}
	h.ledger.Learn(key.service, key.name, h.ids[key])
}

// relearn tells the ledger again what it was told: a crash before it is durable forgets it, and the next use of the key brings it back.
func (h *history) relearn() {
	for key, id := range h.ids {
		h.ledger.Learn(key.service, key.name, id)
	}
	require.NoError(h.t, h.run.storeAliases(h.t.Context()))
}

// checkEvidence compares what batches added with the figures.
func (h *history) checkEvidence() {
	h.t.Helper()
	evidence, figures := map[wanted]times{}, map[wanted]times{}
	require.NoError(h.t, h.ledger.Batches("", time.Time{}, func(r *BatchRecord) error {
		for _, c := range r.Cells {
			key := wanted{c.Hour.Unix(), r.ServiceID, c.AppID, c.Metric}
			all := evidence[key]
			evidence[key] = times{all.delivered + c.Delivered, all.ambiguous + c.Ambiguous}
		}
		return nil
	}))
	for key, f := range h.resolved() {
		if f.Delivered != 0 || f.Ambiguous != 0 {
			figures[key] = times{f.Delivered, f.Ambiguous}
		}
	}
	require.Equal(h.t, figures, evidence)
}

// someHistories is how many random histories are tried: 8, or as many as REPORTERD_MODEL_HISTORIES says.
func someHistories() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("REPORTERD_MODEL_HISTORIES"), 10, 64); err == nil {
		return n
	}
	return 8
}

// TestOneNameHistories: user keys whose applications become known at any moment of a random history, with crashes of the ledger
// before, between and after the transactions that store that: figures and evidence are those of a plain map by the ids.
func TestOneNameHistories(t *testing.T) {
	for seed := range someHistories() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, seed)
			for range 120 {
				switch h.rand.IntN(12) {
				case 0, 1, 2:
					h.seal()
				case 3, 4, 5, 6:
					h.end()
				case 7:
					h.requeue()
				case 8:
					h.book(h.rand.IntN(2) == 0)
				case 9:
					if h.rand.IntN(3) == 0 {
						h.crash()
					}
				case 10:
					h.learn()
				case 11:
					h.learn()
					require.NoError(t, h.run.storeAliases(t.Context()))
					if h.rand.IntN(2) == 0 { // stored, and what was gathered is not booked
						h.crash()
					}
				}
			}
			h.relearn()
			h.check()
			h.checkEvidence()
			h.crash()
			require.NoError(t, checkFile(t.Context(), h.ledger.path()))
			h.check()
			h.checkEvidence()
			h.noHashes()
		})
	}
}

// noHashes checks that the figures name known user keys by the ids of their applications only.
func (h *history) noHashes() {
	require.NoError(h.t, h.ledger.Rows(Query{}, func(r *Row) error {
		assert.Empty(h.t, h.ids[alias{r.ServiceID, r.AppID}], "%s %s", r.ServiceID, r.AppID)
		return nil
	}))
}

// keyed is a batch of service 1001 with one hit of an application at an hour.
func keyed(position int, hour int, app threescale.Application) *spool.Batch {
	at := benchFirst.Add(time.Duration(hour) * time.Hour)
	return &spool.Batch{ID: spool.BatchID{Position: spool.Position(position)}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: at, Transactions: []spool.Transaction{
		{Events: 1, Transaction: threescale.Transaction{Application: app, Timestamp: at.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
	}}
}

// TestOneNameInPages: aliases are stored in bounded transactions. A process that dies between two of them leaves whole ones: the
// next one does the rest, and nothing counts twice.
func TestOneNameInPages(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour}
	l, err := Open(o)
	require.NoError(t, err)
	l.db.NoSync = true
	r := &run{Ledger: l, next: 1}
	const keys = mergeAliases + 200
	var batches []*spool.Batch
	for i := range keys {
		for n, app := range []threescale.Application{{UserKey: fmt.Sprint("key", i)}, {ID: fmt.Sprint("app", i)}} {
			batches = append(batches, keyed(2*i+n+1, i%50, app))
		}
	}
	happens(t, r, spool.BatchSealed, batches...)
	learn := func(l *Ledger) {
		for i := range keys {
			l.Learn("1001", hashed(fmt.Sprint("key", i)), fmt.Sprint("app", i))
		}
	}
	learn(l)
	list, ids := l.waiting()
	m := renaming{run: r}
	require.NoError(t, l.update(func(tx *bbolt.Tx) error {
		done, err := m.some(t.Context(), tx, list, ids)
		assert.Equal(t, mergeAliases, done)
		return err
	}))
	require.NoError(t, l.Close())

	l, err = Open(o)
	require.NoError(t, err)
	defer l.Close()
	names := func() (names int, accepted int64) {
		seen := map[string]bool{}
		require.NoError(t, l.Rows(Query{}, func(r *Row) error {
			seen[r.AppID], accepted = true, accepted+r.Accepted
			return nil
		}))
		return len(seen), accepted
	}
	n, accepted := names()
	assert.Equal(t, keys+200, n)
	assert.EqualValues(t, 2*keys, accepted)
	learn(l)
	require.NoError(t, (&run{Ledger: l}).storeAliases(t.Context()))
	assert.False(t, l.hasWaiting())
	n, accepted = names()
	assert.Equal(t, keys, n)
	assert.EqualValues(t, 2*keys, accepted)
}

// TestOneNameAsked: every question about the application finds it under its id, also one by the name of its user key. What is booked
// under the key later is under the id, too; a read in pages is not disturbed; and the file holds when it is read again.
func TestOneNameAsked(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour}
	l, err := Open(o)
	require.NoError(t, err)
	r := &run{Ledger: l, next: 1}
	byKey, byID, other := keyed(1, 0, threescale.Application{UserKey: "key"}), keyed(2, 0, threescale.Application{ID: "app"}), keyed(3, 30, threescale.Application{UserKey: "key"})
	other.Lane.ServiceID = "1002"
	happens(t, r, spool.BatchSealed, byKey, byID, other)
	require.NoError(t, checkFile(t.Context(), l.path()))
	l.Learn("1001", hashed("key"), "app")
	l.Learn("1001", "no-key", "app")
	l.Learn("1001", hashed("other"), "")
	l.paging.RLock()
	require.NoError(t, r.storeAliases(t.Context()))
	l.paging.RUnlock()
	assert.Equal(t, hashed("key"), l.ApplicationID("1001", hashed("key")), "while a reader is between two pages, no row moves")
	require.NoError(t, r.storeAliases(t.Context()))
	happens(t, r, spool.BatchEnded, byKey)
	sum := func(q Query) (sum Figures) {
		require.NoError(t, l.Rows(q, func(r *Row) error { sum.add(r.Figures); return nil }))
		return sum
	}
	whole := Figures{Accepted: 2, Delivered: 1}
	assert.Equal(t, whole, sum(Query{ServiceID: "1001", AppID: "app"}))
	assert.Equal(t, whole, sum(Query{ServiceID: "1001", AppID: hashed("key")}))
	assert.Equal(t, whole, sum(Query{ServiceID: "1001", AllApplications: true}))
	assert.Equal(t, Figures{Accepted: 1}, sum(Query{ServiceID: "1002", AppID: hashed("key")}), "another service's keys are its own")
	assert.Equal(t, "app", l.ApplicationID("1001", hashed("key")))
	assert.Equal(t, hashed("key"), l.ApplicationID("1002", hashed("key")))
	for name, has := range map[string]bool{"app": true, hashed("key"): true, "unknown": false} {
		found, err := l.HasUserKey("1001", name)
		require.NoError(t, err)
		assert.Equal(t, has, found, name)
	}
	apps, err := l.Applications("1001", benchFirst)
	require.NoError(t, err)
	assert.Equal(t, []string{"app"}, apps)
	l.Learn("1001", hashed("key"), "another")
	require.NoError(t, r.storeAliases(t.Context()))
	assert.Equal(t, "app", l.ApplicationID("1001", hashed("key")), "the first id stays")
	require.NoError(t, l.Close())
	require.NoError(t, checkFile(t.Context(), l.path()))
}

// TestOneNameOfAPull: the user key of a batch is asked about before the batch is booked, once.
func TestOneNameOfAPull(t *testing.T) {
	t.Parallel()
	asked := 0
	l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour, Resolve: func(lane spool.LaneKey, a threescale.Application) string {
		asked++
		return "app of " + a.UserKey + " in " + lane.ServiceID
	}})
	require.NoError(t, err)
	defer l.Close()
	r := &run{Ledger: l, next: 1}
	happens(t, r, spool.BatchSealed, keyed(1, 0, threescale.Application{UserKey: "key"}), keyed(2, 0, threescale.Application{UserKey: "key"}))
	happens(t, r, spool.BatchSealed, keyed(3, 0, threescale.Application{UserKey: "key"}))
	apps, err := l.Applications("1001", benchFirst)
	require.NoError(t, err)
	assert.Equal(t, []string{"app of key in 1001"}, apps)
	assert.Equal(t, 1, asked)
}

// TestOneNameSalvaged: the aliases of a damaged file are kept; a damaged alias is found by the check, left out, and learned again.
func TestOneNameSalvaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	r := &run{Ledger: l, next: 1}
	happens(t, r, spool.BatchSealed, keyed(1, 0, threescale.Application{UserKey: "key1"}), keyed(2, 0, threescale.Application{UserKey: "key2"}), keyed(3, 0, threescale.Application{ID: "app1"}))
	l.Learn("1001", hashed("key1"), "app1")
	l.Learn("1001", hashed("key2"), "app2")
	require.NoError(t, r.storeAliases(t.Context()))
	require.NoError(t, l.update(func(tx *bbolt.Tx) error {
		k := aliasKey{find(tx, nameService, "1001"), find(tx, nameApplication, hashed("key2"))}.bytes()
		return tx.Bucket(bucketAliases).Put(k, []byte{sealByte, 0, 0, 0, 1, 1, 2, 3, 4})
	}))
	require.NoError(t, l.Close())
	require.ErrorIs(t, checkFile(t.Context(), l.path()), errDamaged)
	l, err = Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	defer l.Close()
	assert.True(t, l.Stats().Missed)
	assert.Equal(t, "app1", l.ApplicationID("1001", hashed("key1")))
	assert.Equal(t, hashed("key2"), l.ApplicationID("1001", hashed("key2")))
	r = &run{Ledger: l, next: 2}
	happens(t, r, spool.BatchEnded, keyed(2, 0, threescale.Application{UserKey: "key2"}))
	l.Learn("1001", hashed("key2"), "app2")
	require.NoError(t, r.storeAliases(t.Context()))
	figures := map[string]Figures{}
	require.NoError(t, l.Rows(Query{}, func(r *Row) error { figures[r.AppID] = r.Figures; return nil }))
	assert.Equal(t, map[string]Figures{"app1": {Accepted: 2}, "app2": {Accepted: 1, Delivered: 1}}, figures)
}

// TestOneNameOfAnOlderFile: rows without checksums of an older version are merged, too, and a file without aliases has the buckets
// of before, so that an older version can read it.
func TestOneNameOfAnOlderFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Dir: dir, Keep: 100 * 24 * time.Hour}
	l, err := Open(o)
	require.NoError(t, err)
	happens(t, &run{Ledger: l, next: 1}, spool.BatchSealed, keyed(1, 0, threescale.Application{UserKey: "secret-key"}), keyed(2, 0, threescale.Application{ID: "app"}))
	require.NoError(t, l.view(func(tx *bbolt.Tx) error {
		assert.Nil(t, tx.Bucket(bucketAliases))
		return nil
	}))
	require.NoError(t, l.Close())
	older(t, filepath.Join(dir, fileName))
	l, err = Open(o)
	require.NoError(t, err)
	defer l.Close()
	l.Learn("1001", hashed("secret-key"), "app")
	r := &run{Ledger: l, next: 2}
	require.NoError(t, r.storeAliases(t.Context()))
	for n := 0; !r.upgrade.done; n++ {
		require.Less(t, n, 10)
		r.upgradeSome()
	}
	figures := map[string]Figures{}
	require.NoError(t, l.Rows(Query{}, func(r *Row) error { figures[r.AppID] = r.Figures; return nil }))
	assert.Equal(t, map[string]Figures{"app": {Accepted: 2}}, figures)
	text, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "secret-key")
}
