package receipt

import (
	"math/rand/v2"
	"slices"
	"time"
)

// modelBackend is what the backend does with reports, as protocol/backend-2.md has it: a listener that answers before
// anything is looked at, a list of jobs, workers that check a job as a whole and then write it in slices, processes that
// remember for 60 s what they looked up, and all that was seen to go wrong: workers that are killed, fail, stall, or send a slice again
// after the database restarted; reports that land late or not at all (a listener that is killed, a proxy that holds them); names that are
// deleted and made again (applications, user keys, metrics, receipt applications, receipt metrics), and limits of these; a clock that is off, so that the worker drops all
// usage of now. A 202 of a proxy is a report that does not land. Its slices are of four transactions, so that histories are short.
type modelBackend struct {
	random   *rand.Rand
	now      time.Time
	metrics  int
	counters [Applications][]uint64
	counts   map[int]int // by transaction of a producer: how often it was counted
	reports  map[int]int // and in how many reports
	beyond   map[int]bool

	deleted  map[int]bool    // names of producers, receipt applications and receipt metrics that are not there now
	hidden   map[[2]int]bool // a receipt application has no limit on a receipt metric: its counter is not shown
	skewed   bool            // its clock is off by so much that it takes timestamps of now for too old, or for the future
	workers  []*modelWorker
	listener memory
	queue    []*modelJob
	late     []*modelJob
	stopped  bool // the workers take nothing
	trouble  modelTrouble
}

// modelTrouble is what can go wrong, each as a chance for each job.
type modelTrouble struct {
	kill, fail, restart, stall float64
}

const modelSlice = 4

// modelItem is one transaction: of a producer, or a receipt.
type modelItem struct {
	transaction int
	names       []int // of a producer: an application (or its user key) and a metric, each of which can be deleted; nil: a receipt
	receipt     int   // its application
	metric      int
	increment   uint64
}

// receiptName and metricName are the names of the first receipt application and receipt metric among those that can be deleted.
const (
	receiptName = 100
	metricName  = 200
)

// needs are the names that have to be known for the item.
func (i *modelItem) needs() []int {
	if i.names == nil {
		return []int{receiptName + i.receipt, metricName + i.metric}
	}
	return i.names
}

// modelReport is what was sent in one attempt.
type modelReport struct {
	items []modelItem
	late  bool         // so late that nothing can be told
	wrote map[int]bool // the transactions of it that a worker wrote
}

type modelJob struct {
	report *modelReport
	at     time.Time // when it comes into the list
	again  int       // how often it failed: at most twice, so that it lands within the time that reports are waited for
}

// memory is what one process remembers of applications and metrics.
type memory map[int]struct {
	exists bool
	until  time.Time
}

func (m memory) knows(b *modelBackend, name int) bool {
	if one, ok := m[name]; ok && b.now.Before(one.until) {
		return one.exists
	}
	exists := !b.deleted[name]
	m[name] = struct {
		exists bool
		until  time.Time
	}{exists, b.now.Add(time.Minute)}
	return exists
}

// modelWorker has at most one job in hand.
type modelWorker struct {
	memory memory
	job    *modelJob
	next   int       // the item that it writes next
	goesOn time.Time // when
	end    int       // the item before which it is killed, fails, or the database restarts; -1: none
	how    byte      // 'k', 'f' or 'r'
}

func newModelBackend(random *rand.Rand, metrics, workers int, now time.Time) *modelBackend {
	b := &modelBackend{random: random, now: now, metrics: metrics, counts: map[int]int{}, reports: map[int]int{}, beyond: map[int]bool{}, deleted: map[int]bool{}, hidden: map[[2]int]bool{}, listener: memory{}}
	used := random.IntN(4) > 0
	for a := range b.counters {
		b.counters[a] = make([]uint64, metrics)
		for m := range b.counters[a] { // other ones were there before
			if used {
				b.counters[a][m] = random.Uint64N(1 << 40)
			}
		}
	}
	for range workers {
		b.workers = append(b.workers, &modelWorker{memory: memory{}, end: -1})
	}
	return b
}

// take puts a report into the list, after a while.
func (b *modelBackend) take(r *modelReport, late time.Duration) {
	b.late = append(b.late, &modelJob{r, b.now.Add(late), 0})
}

// advance lets time pass.
func (b *modelBackend) advance(d time.Duration) {
	for end := b.now.Add(d); ; {
		b.arrive()
		b.work()
		next := end
		for _, j := range b.late {
			if j.at.Before(next) {
				next = j.at
			}
		}
		for _, w := range b.workers {
			if w.job != nil && w.goesOn.Before(next) {
				next = w.goesOn
			}
		}
		if !next.Before(end) {
			b.now = end
			b.arrive()
			b.work()
			return
		}
		b.now = next
	}
}

func (b *modelBackend) arrive() {
	rest := b.late[:0]
	for _, j := range b.late {
		if j.at.After(b.now) {
			rest = append(rest, j)
		} else {
			b.queue = append(b.queue, j)
		}
	}
	b.late = rest
}

// work lets every worker do what it can now. Each step takes some time, so that one overtakes another.
func (b *modelBackend) work() {
	for again := true; again; {
		again = false
		for _, w := range b.workers {
			if w.job == nil && len(b.queue) > 0 && !b.stopped {
				w.job, b.queue = b.queue[0], b.queue[1:]
				b.begin(w)
				again = true
			}
			if w.job != nil && !w.goesOn.After(b.now) {
				b.step(w)
				again = true
			}
		}
	}
}

// begin checks a job, all or nothing.
func (b *modelBackend) begin(w *modelWorker) {
	w.next, w.end, w.how, w.goesOn = 0, -1, 0, b.now.Add(upTo(b.random, 20*time.Millisecond))
	items := w.job.report.items
	for n := range items {
		void := items[n].names != nil && b.skewed // receipts have no timestamp
		for _, name := range items[n].needs() {
			void = void || !w.memory.knows(b, name)
		}
		if void {
			w.job = nil // discarded in silence
			return
		}
	}
	at := b.random.IntN(len(items) + 1)
	switch chance := b.random.Float64(); {
	case chance < b.trouble.kill:
		w.end, w.how = at, 'k'
	case chance < b.trouble.kill+b.trouble.fail && w.job.again < 2:
		if w.end, w.how = at%len(items), 'f'; b.random.IntN(2) == 0 { // behind the last one it would not fail
			w.end = 0
		}
	case chance < b.trouble.kill+b.trouble.fail+b.trouble.restart:
		w.end, w.how = at, 'r'
	case chance < b.trouble.kill+b.trouble.fail+b.trouble.restart+b.trouble.stall:
		w.goesOn = b.now.Add(upTo(b.random, 5*time.Second))
	}
}

// step writes one slice, or ends in it.
func (b *modelBackend) step(w *modelWorker) {
	items := w.job.report.items
	to := min((w.next/modelSlice+1)*modelSlice, len(items))
	if w.end >= 0 && w.end <= to {
		b.write(w.job.report, items[w.next:max(w.next, w.end)])
		b.breakOff(w)
		return
	}
	b.write(w.job.report, items[w.next:to])
	if w.next, w.goesOn = to, b.now.Add(upTo(b.random, 20*time.Millisecond)); to == len(items) {
		w.job = nil
	}
}

func (b *modelBackend) breakOff(w *modelWorker) {
	switch w.how {
	case 'k':
		w.job, w.memory = nil, memory{} // another process
	case 'f':
		b.late = append(b.late, &modelJob{w.job.report, b.now.Add(300 * time.Second), w.job.again + 1})
		w.job = nil
	default:
		w.next, w.end, w.goesOn = max(0, w.end-1)/modelSlice*modelSlice, -1, b.now.Add(5*time.Second)
	}
}

func (b *modelBackend) write(r *modelReport, items []modelItem) {
	if r.wrote == nil {
		r.wrote = map[int]bool{}
	}
	for _, item := range items {
		if item.names != nil {
			if r.late {
				b.beyond[item.transaction] = true
			}
			b.counts[item.transaction]++
			if !r.wrote[item.transaction] {
				r.wrote[item.transaction] = true
				b.reports[item.transaction]++
			}
		} else {
			b.counters[item.receipt][item.metric] += item.increment
		}
	}
}

// read returns an application's counters, as a listener shows them that remembers limits no longer than anything else.
func (b *modelBackend) read(application int) []uint64 {
	values := slices.Clone(b.counters[application])
	for m := range values {
		if !b.listener.knows(b, metricName+m) || b.hidden[[2]int{application, m}] {
			values[m] = Missing
		}
	}
	return values
}

// quiet reports whether nothing can land any more.
func (b *modelBackend) quiet() bool {
	if len(b.queue)+len(b.late) > 0 {
		return false
	}
	for _, w := range b.workers {
		if w.job != nil {
			return false
		}
	}
	return true
}

// underWay reports whether a report that can still be counted needs a name.
func (b *modelBackend) underWay(name int) bool {
	jobs := append(append([]*modelJob(nil), b.queue...), b.late...)
	for _, w := range b.workers {
		if w.job != nil {
			jobs = append(jobs, w.job)
		}
	}
	for _, j := range jobs {
		for n := range j.report.items {
			if slices.Contains(j.report.items[n].needs(), name) {
				return true
			}
		}
	}
	return false
}

// upTo is any duration below d.
func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}
