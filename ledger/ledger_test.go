package ledger

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
)

// wanted is a cell of the model.
type wanted struct {
	hour                 int64
	service, app, metric string
}

// history is a random life of a spool and its ledger, beside a model of what the ledger shall say.
type history struct {
	t     *testing.T
	rand  *rand.Rand
	dir   string
	begun time.Time

	spool   *spool.Spool
	ledger  *Ledger
	run     *run
	cells   map[wanted]Figures
	batches map[spool.BatchID]*spool.Batch // live
	letters map[string]spool.DeadLetter
	ends    map[spool.BatchID]End // what receipts showed
	ids     map[alias]string      // of applications, by the names of their user keys: what the ledger was told
	copies  *disktest.Disk        // of the ledger, for the next owner; nil: each life has the file of the one before
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(),
		begun: time.Now().Truncate(24 * time.Hour).Add(6 * time.Hour), // the 20 hours before are of two days, at any time of the test
		cells: map[wanted]Figures{}, batches: map[spool.BatchID]*spool.Batch{}, letters: map[string]spool.DeadLetter{},
		ends: map[spool.BatchID]End{}, ids: map[alias]string{},
	}
	h.open()
	return h
}

func (h *history) open() {
	var err error
	h.spool, _, err = spool.Open(spool.Options{Dir: h.dir, SegmentBytes: 8 << 10, Sync: spool.Never, KeepChanges: true})
	require.NoError(h.t, err)
	o := Options{Dir: h.dir, Keep: 24 * time.Hour * 365, End: func(id spool.BatchID) End { return h.ends[id] }}
	if h.copies == nil {
		h.ledger, err = Open(o)
	} else {
		o.Dir, o.Copy = h.t.TempDir(), h.copies
		h.ledger, err = Restore(h.t.Context(), o)
	}
	require.NoError(h.t, err)
	require.NoError(h.t, h.ledger.Anchor(h.spool))
	h.run = &run{Ledger: h.ledger, spool: h.spool, feed: h.spool.ChangeFeed()}
}

// crash ends both and begins them anew. Sometimes what was booked was not said to the spool.
func (h *history) crash() {
	require.NoError(h.t, h.run.feed.Close())
	require.NoError(h.t, h.ledger.Close())
	require.NoError(h.t, h.spool.Close())
	if h.copies != nil {
		h.copies = h.copies.Crash()
	}
	h.open()
}

// book lets the ledger do some of its work: all of it, or only up to the commit.
func (h *history) book(whole bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	h.run.gather(ctx)
	if h.run.next == 0 {
		return
	}
	if whole {
		h.run.book(ctx)
		return
	}
	require.NoError(h.t, h.run.commit(h.t.Context()))
	h.crash()
}

func (h *history) add(b *spool.Batch, t spool.Transaction, at int64, change Figures) {
	for _, u := range t.Usage {
		key := wanted{at / 3600 * 3600, b.Lane.ServiceID, ApplicationName(t.Application), u.Metric}
		f, n := h.cells[key], int64(u.Value)
		f.add(change.times(n))
		h.cells[key] = f
	}
}

// seal accepts some events and makes batches of them, one event a transaction.
func (h *history) seal() {
	n := 1 + h.rand.IntN(12)
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: fmt.Sprintf("s%d", h.rand.IntN(2)), Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprintf("a%d", h.rand.IntN(3))},
			Timestamp:   h.begun.Unix() - h.rand.Int64N(20*3600),
			Usage:       []threescale.Increment{{Metric: "hits", Value: 1 + h.rand.Uint64N(9)}, {Metric: "bytes", Value: h.rand.Uint64N(900)}},
		}}
		if h.rand.IntN(4) == 0 {
			events[i].Application = threescale.Application{UserKey: fmt.Sprintf("secret key %d", h.rand.IntN(2))}
		}
	}
	_, err := h.spool.Append(context.Background(), events)
	require.NoError(h.t, err)
	cut, err := h.spool.BeginCut(h.spool.Committed() + spool.Position(n))
	require.NoError(h.t, err)
	byService := map[string]*spool.Batch{}
	for i := range events {
		b := byService[events[i].ServiceID]
		if b == nil {
			b = &spool.Batch{Lane: spool.LaneKey{ServiceID: events[i].ServiceID}}
			byService[events[i].ServiceID] = b
		}
		b.Transactions = append(b.Transactions, spool.Transaction{Transaction: events[i].Transaction, Events: 1})
	}
	for _, b := range byService {
		require.NoError(h.t, cut.Add(b))
	}
	if h.rand.IntN(5) == 0 { // these batches never existed; their events are cut again
		require.NoError(h.t, cut.Abort())
		cut, err = h.spool.BeginCut(h.spool.Committed() + spool.Position(n))
		require.NoError(h.t, err)
		for _, b := range byService {
			b.ID = spool.BatchID{}
			require.NoError(h.t, cut.Add(b))
		}
	}
	require.NoError(h.t, cut.Commit(0))
	for _, b := range byService {
		h.batches[b.ID] = b
		for _, t := range b.Transactions {
			h.add(b, t, t.Timestamp, Figures{Accepted: 1})
		}
	}
}

func (h *history) any() *spool.Batch {
	for _, b := range h.batches {
		return b
	}
	return nil
}

// end resolves a batch: each transaction is delivered, late or not, dead, or goes on in a child.
func (h *history) end() {
	b := h.any()
	if b == nil {
		return
	}
	if h.rand.IntN(3) == 0 { // failed, but it may have landed
		require.NoError(h.t, h.spool.Attempt(b.ID, h.begun))
		require.NoError(h.t, h.spool.Ambiguous(b.ID))
		for _, t := range b.Transactions {
			h.add(b, t, t.Timestamp, Figures{Ambiguous: 1})
		}
		return
	}
	r := spool.Resolution{At: h.begun.Add(time.Duration(h.rand.IntN(3)) * time.Hour)}
	whole := h.rand.IntN(2) == 0
	if h.rand.IntN(4) == 0 {
		h.ends[b.ID] = End{Kind: endKinds[h.rand.IntN(3)], Slices: []string{"counted", sliceStates[h.rand.IntN(4)]}}
	}
	delivered := h.ends[b.ID].figures().plus(Figures{Delivered: 1})
	for i, t := range b.Transactions {
		fate := h.rand.IntN(4)
		if whole {
			fate = 0
		}
		switch fate {
		case 0, 1:
			r.Delivered = append(r.Delivered, i)
			if fate == 1 {
				r.Restamped = append(r.Restamped, i)
				h.add(b, t, t.Timestamp, Figures{Accepted: -1})
				h.add(b, t, r.At.Unix(), delivered.plus(Figures{Accepted: 1, Restamped: 1}))
				continue
			}
			h.add(b, t, t.Timestamp, delivered)
		case 2:
			r.Dead = append(r.Dead, spool.DeadLetter{Index: i, Reason: spool.Reason{Code: "application_not_found"}})
			h.add(b, t, t.Timestamp, Figures{Dead: 1})
		default:
			if len(r.Children) < 2 {
				r.Children = append(r.Children, nil)
			}
			n := h.rand.IntN(len(r.Children))
			r.Children[n] = append(r.Children[n], i)
		}
	}
	r.Children = compact(r.Children)
	require.NoError(h.t, h.spool.Resolve(b.ID, r))
	delete(h.batches, b.ID)
	for _, info := range h.spool.Batches() {
		if h.batches[info.ID] == nil {
			child, err := h.spool.Load(info.ID)
			require.NoError(h.t, err)
			h.batches[child.ID] = child
		}
	}
}

func compact(children [][]int) (out [][]int) {
	for _, c := range children {
		if len(c) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// requeue takes dead letters back, some of them with the time of now.
func (h *history) requeue() {
	page, _, err := h.spool.DeadLetters(spool.DeadLetterQuery{Limit: 5})
	require.NoError(h.t, err)
	for _, l := range page {
		restamp := time.Time{}
		if h.rand.IntN(2) == 0 {
			restamp = h.begun.Add(time.Hour)
		}
		done, err := h.spool.Requeue([]string{l.ID}, restamp)
		require.NoError(h.t, err)
		b, err := h.spool.Load(done[0].Batch)
		require.NoError(h.t, err)
		h.batches[b.ID] = b
		t := b.Transactions[0]
		if restamp.IsZero() {
			h.add(b, t, t.Timestamp, Figures{Dead: -1})
			continue
		}
		h.add(b, t, l.Timestamp.Unix(), Figures{Dead: -1, Accepted: -1})
		h.add(b, t, t.Timestamp, Figures{Accepted: 1, Restamped: 1})
	}
}

// resolved are the cells of the model, with the ids that the ledger was told.
func (h *history) resolved() map[wanted]Figures {
	cells := map[wanted]Figures{}
	for key, f := range h.cells {
		if id := h.ids[alias{key.service, key.app}]; id != "" {
			key.app = id
		}
		all := cells[key]
		all.add(f)
		cells[key] = all
	}
	maps.DeleteFunc(cells, func(_ wanted, f Figures) bool { return f == Figures{} })
	return cells
}

// check compares all cells, and the sums that are kept beside them.
func (h *history) check() {
	h.t.Helper()
	for range 100 {
		if h.book(true); h.ledger.Stats().Next >= h.spool.ChangesEnd() {
			break
		}
	}
	got, sums, wantedSums := map[wanted]Figures{}, map[wanted]Figures{}, map[wanted]Figures{}
	require.NoError(h.t, h.ledger.Rows(Query{}, func(r *Row) error {
		got[wanted{r.Time.Unix(), r.ServiceID, r.AppID, r.Metric}] = r.Figures
		return nil
	}))
	require.NoError(h.t, h.ledger.Rows(Query{AllApplications: true}, func(r *Row) error {
		sums[wanted{r.Time.Unix(), r.ServiceID, "", r.Metric}] = r.Figures
		return nil
	}))
	cells := h.resolved()
	for key, f := range cells {
		key.app = ""
		all := wantedSums[key]
		all.add(f)
		wantedSums[key] = all
	}
	require.Equal(h.t, cells, got)
	for key, f := range wantedSums {
		if (f == Figures{}) {
			delete(wantedSums, key)
		}
	}
	require.Equal(h.t, wantedSums, sums)
	require.NoError(h.t, h.ledger.Batches("", time.Time{}, func(r *BatchRecord) error {
		id, err := spool.ParseBatchID(r.ID)
		require.NoError(h.t, err)
		if r.End.Kind != "" || len(r.Cells) > 0 && slices.ContainsFunc(r.Cells, func(c BatchCell) bool { return c.Delivered > 0 }) {
			require.Equal(h.t, h.ends[id], r.End, r.ID)
		}
		return nil
	}))
	assert.False(h.t, h.ledger.Stats().Missed)
}

// TestHistories: in every history of batches, and after any number of crashes of either, the ledger has each event once.
func TestHistories(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, seed)
			for range 150 {
				switch h.rand.IntN(10) {
				case 0, 1, 2:
					h.seal()
				case 3, 4, 5, 6:
					h.end()
				case 7:
					h.requeue()
				case 8:
					h.book(h.rand.IntN(2) == 0)
				case 9:
					if h.rand.IntN(4) == 0 {
						h.crash()
					}
				}
			}
			h.check()
			h.crash()
			h.check()
		})
	}
}
