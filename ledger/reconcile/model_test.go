package reconcile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/ledger"
)

// truth is what happened to a batch: what only the model knows.
type truth struct {
	delivered, dropped bool
	unknown, landed    int // reports with an unknown outcome, and how many of these were counted
}

// copies is how often the batch was counted.
func (t truth) copies() int64 {
	n := int64(t.landed)
	if t.delivered && !t.dropped {
		n++
	}
	return n
}

// model is a backend that loses, doubles and miscounts, and the ledger of a daemon that does not see it.
type model struct {
	*Books
	random  *rand.Rand
	largest int64 // of a batch's part in a cell
	witness string
	truths  map[string]truth
}

func newModel(seed uint64, largest int64, witness string) *model {
	m := &model{
		Books: &Books{
			ServiceID: "1001", ObservedAt: firstHour.Add(30 * time.Hour), Parents: map[string]string{"search": "hits"}, Unknown: map[string]string{},
			Counted: map[string]map[int64]int64{}, Apps: map[string]map[string]map[int64]int64{},
		},
		random: rand.New(rand.NewPCG(seed, 7)), largest: largest, witness: witness, truths: map[string]truth{},
	}
	return m
}

// send has one batch go the way that is given, with usage of some applications, metrics and hours.
func (m *model) send(t truth) {
	id := fmt.Sprintf("b%02d", len(m.Batches))
	m.truths[id] = t
	b := ledger.BatchRecord{ID: id, ServiceID: m.ServiceID, Sealed: firstHour, Ambiguous: t.unknown}
	for range 1 + m.random.IntN(4) {
		hour, app := firstHour.Add(time.Duration(m.random.IntN(2))*time.Hour), fmt.Sprintf("app%d", m.random.IntN(3))
		m.use(&b, t, hour, app, []string{"hits", "search"}[m.random.IntN(2)], 1+m.random.Int64N(m.largest))
		if m.witness != "" {
			m.use(&b, t, hour, app, m.witness, 1+m.random.Int64N(m.largest))
		}
	}
	m.Batches = append(m.Batches, b)
}

func (m *model) use(b *ledger.BatchRecord, t truth, hour time.Time, app, metric string, n int64) {
	c := ledger.BatchCell{Hour: hour, AppID: app, Metric: metric, Ambiguous: n * int64(t.unknown)}
	if t.delivered {
		c.Delivered = n
	}
	b.Cells = append(b.Cells, c)
	f := ledger.Figures{Accepted: n, Delivered: c.Delivered, Ambiguous: c.Ambiguous}
	m.Rows = append(m.Rows, ledger.Row{Time: hour, ServiceID: m.ServiceID, AppID: app, Metric: metric, Figures: f})
	m.count(app, metric, hour, n*t.copies())
}

// count has the backend count, for whomever.
func (m *model) count(app, metric string, hour time.Time, n int64) {
	up(m.Parents, metric, func(metric string) {
		if m.Apps[app] == nil {
			m.Apps[app] = map[string]map[int64]int64{}
		}
		for _, counts := range [...]map[string]map[int64]int64{m.Counted, m.Apps[app]} {
			if counts[metric] == nil {
				counts[metric] = map[int64]int64{}
			}
			counts[metric][hour.Unix()] += n
		}
	})
}

// stranger reports usage that the ledger knows nothing of.
func (m *model) stranger() {
	hour, app := firstHour.Add(time.Duration(m.random.IntN(2))*time.Hour), fmt.Sprintf("app%d", m.random.IntN(3))
	m.count(app, "search", hour, 1+m.random.Int64N(m.largest))
}

// certain checks that what is said with certainty is true, and returns what is said of each batch.
func (m *model) certain(t *testing.T, fates []Evidence) map[string]Fate {
	t.Helper()
	said := map[string]Fate{}
	for _, e := range fates {
		said[e.Batch] = e.Fate
		was, want := m.truths[e.Batch], Possible
		switch copies := was.copies(); {
		case copies > 1:
			want = Twice
		case copies == 1 && !was.delivered:
			want = Landed
		case copies == 1:
			want = Once
		case was.delivered:
			want = Dropped
		default:
			want = NotLanded
		}
		if e.Fate != Possible {
			require.Equal(t, want, e.Fate, "%s: %+v", e.Batch, was)
		}
	}
	return said
}

var (
	fine      = truth{delivered: true}
	dropped   = truth{delivered: true, dropped: true}
	landed    = truth{unknown: 1, landed: 1}
	notLanded = truth{unknown: 1}
	twice     = truth{delivered: true, unknown: 1, landed: 1}
	once      = truth{delivered: true, unknown: 1}
)

// TestModel: in every history of whole batches of the only reporter, what is said of a batch with certainty is true, and
// each that was dropped is named, or is one of those that are. Where nothing is small, each is found.
func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		largest int64
		mishaps []truth
		exact   bool // all of it is found
	}{
		"drops":                          {1_000_000, []truth{dropped}, true},
		"unknown outcomes":               {1_000_000, []truth{landed, notLanded, twice, once}, true},
		"all":                            {1_000_000, []truth{dropped, landed, notLanded, twice, once}, true},
		"drops, all alike":               {2, []truth{dropped}, false},
		"unknown outcomes, all alike":    {2, []truth{landed, notLanded, twice, once}, false},
		"unknown outcomes, hardly alike": {20, []truth{landed, notLanded, twice, once}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(150) {
				m := newModel(seed, c.largest, "")
				for range 3 + m.random.IntN(8) {
					m.send(fine)
				}
				for range 1 + m.random.IntN(3) {
					m.send(c.mishaps[m.random.IntN(len(c.mishaps))])
				}
				cells, fates := Judge(m.Books, Rules{Exclusive: true, Seal: DefaultSeal, Quiet: DefaultQuiet})
				said := m.certain(t, fates)
				for id, was := range m.truths {
					if was != fine && (was.dropped || c.exact) {
						require.NotEmpty(t, said[id], "seed %d: %s: %+v", seed, id, was)
					}
					if was != fine && c.exact {
						require.NotEqual(t, Possible, said[id], "seed %d: %s: %+v", seed, id, was)
					}
				}
				m.judged(t, cells, c.exact)
			}
		})
	}
}

// judged checks that no cell is said to match where a batch is missing or counted twice.
func (m *model) judged(t *testing.T, cells []Cell, exact bool) {
	t.Helper()
	for _, c := range cells {
		want := Match
		for i := range m.Batches {
			b := &m.Batches[i]
			touches := slices.ContainsFunc(b.Cells, func(k ledger.BatchCell) bool {
				mine := k.Metric == c.Metric || m.Parents[k.Metric] == c.Metric
				return mine && k.Hour.Equal(c.Hour) && (c.AppID == "" || k.AppID == c.AppID)
			})
			switch was := m.truths[b.ID]; {
			case !touches:
			case was.dropped:
				want = Short
			case was.copies() > 1 && want != Short:
				want = Over
			}
		}
		if exact {
			require.Equal(t, want, c.Verdict, "%+v", c)
		}
		if c.Verdict == Match && c.Delta != 0 {
			require.Equal(t, want, Match, "%+v", c)
		}
	}
}

// TestModelShared: with usage of other reporters in the counts nothing is said with certainty, and nothing is called over. With a
// witness metric that only we report, the batches are found all the same, and their hours verified.
func TestModelShared(t *testing.T) {
	for seed := range uint64(150) {
		for _, witness := range []string{"", "reporterd_tx"} {
			m := newModel(seed, 1_000_000, witness)
			for range 3 + m.random.IntN(8) {
				m.send(fine)
				m.stranger()
			}
			for range 1 + m.random.IntN(3) {
				m.send([]truth{dropped, landed, notLanded, twice, once}[m.random.IntN(5)])
			}
			cells, fates := Judge(m.Books, Rules{Witness: witness, Seal: DefaultSeal, Quiet: DefaultQuiet})
			if witness == "" {
				for _, e := range fates {
					require.Equal(t, Possible, e.Fate)
				}
				for _, c := range cells {
					require.NotEqual(t, Over, c.Verdict)
				}
				continue
			}
			said := m.certain(t, fates)
			for id, was := range m.truths {
				if was != fine {
					require.NotContains(t, []Fate{"", Possible}, said[id], "seed %d: %s", seed, id)
				}
			}
			m.judged(t, slices.DeleteFunc(cells, func(c Cell) bool { return c.AppID == otherApps }), true)
		}
	}
}

// TestBare: an hour is not vouched for by a witness that a part of its usage went without.
func TestBare(t *testing.T) {
	m := newModel(1, 100, "reporterd_tx")
	m.send(fine)
	m.witness = ""
	m.send(fine)
	m.send(dropped)
	m.count("app0", "search", firstHour, 1_000_000)
	cells, _ := Judge(m.Books, Rules{Witness: "reporterd_tx", Seal: DefaultSeal, Quiet: DefaultQuiet})
	for _, c := range cells {
		if c.AppID == "app0" && c.Metric == "hits" && c.Delta > 0 {
			assert.Equal(t, Covers, c.Verdict, "%+v", c)
		}
	}
}

// TestModelPartial: where a part of a batch was counted again, its cell is over, and no batch is blamed for it.
func TestModelPartial(t *testing.T) {
	for seed := range uint64(100) {
		m := newModel(seed, 1_000_000, "")
		for range 4 + m.random.IntN(6) {
			m.send(fine)
		}
		m.send(dropped)
		m.stranger()
		_, fates := Judge(m.Books, Rules{Exclusive: true, Seal: DefaultSeal, Quiet: DefaultQuiet})
		m.certain(t, fates)
	}
}

// BenchmarkJudge: an hour of a batch a second, one of which was dropped.
func BenchmarkJudge(b *testing.B) {
	m := newModel(1, 100, "")
	for range 3600 {
		m.send(fine)
	}
	m.send(dropped)
	for b.Loop() {
		_, fates := Judge(m.Books, Rules{Exclusive: true, Seal: DefaultSeal, Quiet: DefaultQuiet})
		assert.NotEmpty(b, fates)
	}
}
