package batcher

import (
	"math"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// maxMerged is the maximum number of metrics in an aggregate. It limits the search through them, and the size of a transaction
// when a producer sends new metric names all the time.
const maxMerged = 64

// window contains the events that were read from the journal and not cut: one transaction per application and UTC minute, and one
// for each event that is not summed. It belongs to one goroutine, and is a cache of the journal.
//
// A sum over one UTC minute changes no counter and no limit, since every period of the backend consists of whole minutes
// (recording aggregation-equivalence). Response codes are counted once per transaction, independent of its usage, so an event
// with a code is never summed.
type window struct {
	aggregate bool
	witness   func(serviceID string) string // Options.Witness, or nil

	queues []*queue // in order of first appearance
	lanes  map[lane]*queue
	own    int                   // queues with configured credentials
	last   *queue                // of the previous event; events of a lane often come in runs
	spare  [][]spool.Transaction // memory of earlier queues

	open    map[key]int       // the transaction of a queue that can take more usage
	metrics map[string]string // one copy of each name
	usage   arena

	transactions int
	events       uint64 // with usage
	nothing      uint64 // without usage
	bytes        int    // approximate memory of names, increments and transactions
}

// lane identifies the events that can share a report.
type lane struct {
	spool.LaneKey
	flat bool
}

// queue contains one lane's transactions in the order of their first events.
type queue struct {
	lane
	witness      string // the metric that counts events; empty: none
	number       int
	transactions []spool.Transaction
}

// key identifies an aggregate.
type key struct {
	application threescale.Application
	minute      int64
	queue       int
}

func newWindow(aggregate bool) *window {
	return &window{
		aggregate: aggregate,
		lanes:     make(map[lane]*queue),
		open:      make(map[key]int),
		metrics:   make(map[string]string),
	}
}

// add adds an event, and keeps no string of it.
func (w *window) add(e *event.Event) {
	if len(e.Usage) == 0 {
		w.nothing++
		return
	}
	w.events++
	q := w.queueOf(e)
	if !w.aggregate || e.Code != 0 {
		w.push(q, e)
		return
	}
	k := key{application: e.Application, minute: minute(e.Timestamp), queue: q.number}
	if i, ok := w.open[k]; ok && w.merge(q, &q.transactions[i], e) {
		return
	}
	t := w.push(q, e)
	k.application = t.Application
	w.open[k] = len(q.transactions) - 1
}

// queueOf returns the queue of an event's lane, and creates it if necessary.
func (w *window) queueOf(e *event.Event) *queue {
	if q := w.last; q != nil && q.flat == e.FlatUsage && q.ServiceID == e.ServiceID && q.Credentials == e.Credentials {
		return q
	}
	l := lane{spool.LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}, e.FlatUsage}
	q, ok := w.lanes[l]
	if !ok {
		l.ServiceID = strings.Clone(l.ServiceID)
		l.Credentials.ServiceToken = strings.Clone(l.Credentials.ServiceToken)
		l.Credentials.ProviderKey = strings.Clone(l.Credentials.ProviderKey)
		q = &queue{lane: l, number: len(w.queues), transactions: w.queueMemory()}
		if w.witness != nil && l.Credentials.IsZero() {
			q.witness = strings.Clone(w.witness(l.ServiceID))
		}
		w.queues = append(w.queues, q)
		if l.Credentials.IsZero() {
			w.own++
		}
		w.lanes[l] = q
	}
	w.last = q
	return q
}

// queueMemory returns memory for a queue's transactions.
func (w *window) queueMemory() []spool.Transaction {
	n := len(w.spare) - 1
	if n < 0 {
		return nil
	}
	room := w.spare[n]
	w.spare = w.spare[:n]
	return room
}

// push appends a transaction for the event.
func (w *window) push(q *queue, e *event.Event) *spool.Transaction {
	own := 0
	if q.witness != "" && find(e.Usage, q.witness) < 0 {
		own = 1
	}
	q.transactions = append(q.transactions, spool.Transaction{
		Transaction: threescale.Transaction{
			Application: threescale.Application{
				ID:      strings.Clone(e.Application.ID),
				UserKey: strings.Clone(e.Application.UserKey),
			},
			Usage:     w.usage.take(len(e.Usage) + own),
			Timestamp: e.Timestamp,
			Code:      e.Code,
		},
		Events: 1,
	})
	t := &q.transactions[len(q.transactions)-1]
	for i, u := range e.Usage {
		t.Usage[i] = threescale.Increment{Metric: w.intern(u.Metric), Value: u.Value}
	}
	if own > 0 {
		t.Usage[len(e.Usage)] = threescale.Increment{Metric: q.witness, Value: 1}
	}
	w.transactions++
	w.bytes += transactionBytes + len(t.Application.ID) + len(t.Application.UserKey) + incrementBytes*len(t.Usage)
	return t
}

// merge adds an event to a transaction. It returns false if the event has to start a new one: a sum, including that of the
// witness, would exceed threescale.MaxValue, or there are too many metrics.
//
// The aggregate's timestamp is the latest one of its events: it lies in the same minute, hence in the same periods; and the
// aggregate is too old for the backend only when its youngest event is.
func (w *window) merge(q *queue, t *spool.Transaction, e *event.Event) bool {
	fresh := 0
	for _, u := range e.Usage {
		i := find(t.Usage, u.Metric)
		if i < 0 {
			fresh++
		} else if u.Value > threescale.MaxValue || t.Usage[i].Value > threescale.MaxValue-u.Value {
			return false
		}
	}
	own := -1 // index of the witness metric that the event itself contains
	if q.witness != "" && find(e.Usage, q.witness) < 0 {
		own = find(t.Usage, q.witness)
	}
	if own >= 0 && t.Usage[own].Value == threescale.MaxValue { // the event's own value may be that large
		return false
	}
	if (fresh > 0 && len(t.Usage)+fresh > maxMerged) || t.Events == math.MaxUint32 {
		return false
	}
	for _, u := range e.Usage {
		if i := find(t.Usage, u.Metric); i >= 0 {
			t.Usage[i].Value += u.Value
			continue
		}
		t.Usage = append(t.Usage, threescale.Increment{Metric: w.intern(u.Metric), Value: u.Value})
		w.bytes += incrementBytes
	}
	if own >= 0 {
		t.Usage[own].Value++
	}
	t.Timestamp = max(t.Timestamp, e.Timestamp)
	t.Events++
	return true
}

// intern returns the window's copy of a metric's name.
func (w *window) intern(name string) string {
	if own, ok := w.metrics[name]; ok {
		return own
	}
	own := strings.Clone(name)
	w.metrics[own] = own
	w.bytes += 2*incrementBytes + len(own)
	return own
}

func (w *window) empty() bool { return w.events == 0 && w.nothing == 0 }

// reset empties the window. It keeps its memory for the next one, unless it used little of it, but nothing that changes a result:
// the order of the queues is that of the next events.
func (w *window) reset() {
	if w.transactions < w.usage.size()/8 || len(w.queues) > keptQueues {
		witness := w.witness
		*w = *newWindow(w.aggregate)
		w.witness = witness
		return
	}
	w.spare = w.spare[:0]
	for _, q := range slices.Backward(w.queues) {
		clear(q.transactions)
		w.spare = append(w.spare, q.transactions[:0])
	}
	clear(w.queues)
	w.queues, w.last, w.own = w.queues[:0], nil, 0
	clear(w.lanes)
	clear(w.open)
	clear(w.metrics)
	w.usage.reset()
	w.transactions, w.events, w.nothing, w.bytes = 0, 0, 0, 0
}

func find(usage threescale.Usage, metric string) int {
	for i := range usage {
		if usage[i].Metric == metric {
			return i
		}
	}
	return -1
}

// minute returns the UTC minute of a Unix time.
func minute(unix int64) int64 {
	m := unix / 60
	if unix%60 < 0 {
		m--
	}
	return m
}
