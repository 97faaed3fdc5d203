package receipt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// modelBatch is a batch on the daemon's disk.
type modelBatch struct {
	id           int
	transactions []int
	receipt      []byte // of its attempt; nil: none
	released     bool   // it is to be sent again, and was not yet
	sent         time.Time
	attempts     int
	end          End
	concluded    [Applications]uint8
	doubled      bool // a double of it was named, at its end or later
}

// modelDaemon does with a Book what the sender does: its disk survives a kill, all else does not.
type modelDaemon struct {
	random  *rand.Rand
	backend *modelBackend
	rules   Rules
	book    *Book[int]
	applied map[int][]int // transaction → the application and the metric that it names

	batches  map[int]*modelBatch // on disk
	reserved []Reserved          // on disk
	dead     map[int]bool        // on disk: transactions that ended as dead letters
	ids      int
	wrong    []string
	ended    map[End]int
	killed   int

	usable    time.Time         // when all receipt applications and metrics were read before a report was sent
	gone      bool              // a receipt application is not known: nothing is sent
	deletions map[int]time.Time // of names, the latest
	held      []time.Duration   // how late a report without an answer can land
	rare      bool              // there is little traffic
}

const modelWindow = 24 * time.Hour

func newModelDaemon(random *rand.Rand, b *modelBackend, rules Rules) *modelDaemon {
	d := &modelDaemon{random: random, backend: b, rules: rules, applied: map[int][]int{}, batches: map[int]*modelBatch{}, dead: map[int]bool{}, ended: map[End]int{}, deletions: map[int]time.Time{}}
	d.start()
	return d
}

// start reads the disk.
func (d *modelDaemon) start() {
	d.book = New[int](d.backend.metrics, d.rules, d.backend.now)
	for _, r := range d.reserved {
		var id int
		_, _ = fmt.Sscan(r.Name, &id)
		d.book.Reserve(id, r)
	}
	for _, id := range d.ids2() {
		if b := d.batches[id]; b.end == 0 && b.receipt != nil {
			r, err := Parse(b.receipt)
			if err != nil {
				d.complain("batch %d: %v", id, err)
			}
			d.book.Reopen(id, r, b.sent, b.sent.Add(modelWindow), b.attempts > 1 || b.released)
			if b.released {
				d.book.Release(id, d.backend.now)
			}
		}
	}
}

func (d *modelDaemon) ids2() []int {
	ids := make([]int, 0, len(d.batches))
	for id := range d.batches {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (d *modelDaemon) complain(format string, args ...any) {
	if len(d.wrong) < 5 {
		d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
	}
}

// kill loses what is in memory.
func (d *modelDaemon) kill() {
	d.killed++
	d.gone, d.usable = false, time.Time{}
	d.start()
}

// kills reports whether the daemon is killed at this step, and kills it.
func (d *modelDaemon) kills(chance float64) bool {
	if d.random.Float64() >= chance {
		return false
	}
	d.kill()
	return true
}

// seal makes a batch of new transactions.
func (d *modelDaemon) seal(n, applications, metrics int) {
	d.ids++
	b := &modelBatch{id: d.ids}
	for i := range n {
		t := d.ids*1000 + i
		b.transactions = append(b.transactions, t)
		d.applied[t] = []int{d.random.IntN(applications), applications + d.random.IntN(metrics)}
	}
	d.batches[b.id] = b
}

// items are the transactions of a report with its receipts, at the head of each slice of four and at the end.
func (d *modelDaemon) items(b *modelBatch, r Receipt) []modelItem {
	var items []modelItem
	mark := func(a int) {
		items = append(items, modelItem{receipt: a, metric: r.Metric, increment: r.Increment()})
	}
	head := First
	for _, t := range b.transactions {
		if r.Mask.Has(First) && len(items)%modelSlice == 0 && head < Last {
			mark(head)
			head++
		}
		items = append(items, modelItem{transaction: t, names: d.applied[t]})
	}
	if r.Mask.Has(First) && len(items)%modelSlice == 0 && head < Last {
		mark(head)
	}
	mark(Last)
	return items
}

// carries is Carries for slices of four.
func (d *modelDaemon) carries(n int) Mask {
	switch {
	case n+2 <= modelSlice:
		return 1<<First | 1<<Last
	case n+3 <= 2*modelSlice:
		return 1<<First | 1<<Second | 1<<Last
	}
	return 1<<First | 1<<Second | 1<<Third | 1<<Last
}

// send makes an attempt at one batch.
func (d *modelDaemon) send(b *modelBatch, outcome int, late time.Duration, killAt int) {
	for _, t := range b.transactions { // what authorizations have denied for long is not sent
		for _, name := range d.applied[t] {
			if d.backend.deleted[name] && d.backend.now.Sub(d.deletions[name]) > 130*time.Second {
				b.end = Dropped
				d.divide(b, fmt.Sprint(name))
				return
			}
		}
	}
	if now := d.backend.now; now.Sub(d.usable) > time.Minute { // what was not read lately may be gone, or made again
		d.usable = now
		d.read(1<<Applications-1, 0)
	}
	if d.gone {
		d.usable = time.Time{}
		return
	}
	r, ok := d.book.Allot(b.id, d.carries(len(b.transactions)), d.backend.now, d.backend.now.Add(modelWindow))
	if !ok {
		return
	}
	if killAt == 1 {
		d.kill()
		return
	}
	b.receipt, b.sent = r.Append(nil), d.backend.now
	b.attempts++
	if killAt == 2 {
		d.kill()
		return
	}
	report := &modelReport{items: d.items(b, r)}
	switch outcome {
	case 0: // 202
		d.backend.take(report, 0)
	case 1: // no answer, landed
		report.late = late > 10*time.Minute
		d.backend.take(report, late)
	case 2: // no answer, not landed
	case 3: // refused: certainly not landed
		if b.attempts == 1 {
			b.receipt, b.attempts = nil, 0
			d.book.Withdraw(b.id)
		}
	}
	if killAt == 3 {
		d.kill()
	}
}

// again sends a batch once more that was concluded dropped without a culprit.
func (d *modelDaemon) again(b *modelBatch, late time.Duration, killAt int) {
	r, _ := Parse(b.receipt)
	if killAt == 1 {
		d.kill()
		return
	}
	b.sent, b.released = d.backend.now, false
	b.attempts++
	if killAt == 2 {
		d.kill()
		return
	}
	d.book.Again(b.id, d.backend.now)
	d.backend.take(&modelReport{items: d.items(b, r)}, late)
	if killAt == 3 {
		d.kill()
	}
}

// sendReleased sends what was released, as the sender does when it comes to the batch.
func (d *modelDaemon) sendReleased(kill float64) {
	for _, id := range d.ids2() {
		b := d.batches[id]
		if b.end != 0 || !b.released || d.gone || !d.book.Has(id) || !d.zero(id) {
			continue
		}
		killAt := 0
		if d.random.Float64() < kill {
			killAt = 1 + d.random.IntN(3)
		}
		d.again(b, 0, killAt)
	}
}

// zero reports whether nothing of a report is seen.
func (d *modelDaemon) zero(id int) bool { return d.book.open[id].zero() }

// poll reads what the book asks for, concludes and acts.
func (d *modelDaemon) poll(kill float64) {
	asks := d.book.Asks(d.backend.now)
	if next := d.book.Next(d.backend.now); asks == 0 && !next.IsZero() && !next.After(d.backend.now) {
		d.complain("nothing is to be read now, and the next reading is not later")
	}
	if d.read(asks, kill) {
		return
	}
	d.sendReleased(kill)
	d.examine()
	if r, ok := d.book.Probe(d.backend.now); ok && !d.gone {
		late := []time.Duration{0, time.Second, 300 * time.Second, 300 * time.Second}[d.random.IntN(4)]
		d.backend.take(&modelReport{items: []modelItem{{receipt: Last, metric: r.Metric, increment: r.Increment()}}}, late)
		if d.kills(kill) {
			return
		}
	}
	for _, l := range d.book.Late() {
		d.batches[l.ID].doubled = true
	}
	before, conclusions := d.killed, d.book.Conclusions(d.backend.now)
	slices.SortFunc(conclusions, func(a, b Conclusion[int]) int { return a.ID - b.ID })
	for _, c := range conclusions {
		if d.conclude(c, kill); d.killed > before || d.kills(kill) {
			return
		}
	}
}

// conclude acts on a conclusion, and holds it against what the backend did. The daemon may be killed before each of its records.
func (d *modelDaemon) conclude(c Conclusion[int], kill float64) {
	b := d.batches[c.ID]
	d.judge(b, c)
	if d.kills(kill) {
		return
	}
	if c.End == Dropped && c.Culprit == "" {
		d.ended[c.End]++
		b.released = true // durable
		if !d.kills(kill) {
			d.book.Release(b.id, d.backend.now)
		}
		return
	}
	if kept := d.book.Close(b.id, c.End, d.backend.now); kept || c.End != Counted { // durable before the end is
		d.reserved = d.book.Reserved(func(id int) string { return fmt.Sprint(id) }, d.backend.now)
		if d.kills(kill) {
			return
		}
	}
	d.ended[c.End]++
	b.end, b.concluded, b.doubled = c.End, c.Digits, b.doubled || c.End == Double
	if c.End == Dropped {
		d.divide(b, c.Culprit)
	}
}

// divide makes dead letters of the culprit's transactions, and a batch of the rest.
func (d *modelDaemon) divide(b *modelBatch, culprit string) {
	d.ids++
	child := &modelBatch{id: d.ids}
	for _, t := range b.transactions {
		if fmt.Sprint(d.applied[t][0]) == culprit || fmt.Sprint(d.applied[t][1]) == culprit {
			d.dead[t] = true
		} else {
			child.transactions = append(child.transactions, t)
		}
	}
	if len(child.transactions) > 0 {
		d.batches[child.id] = child
	}
}

// judge complains about a conclusion that is not so.
func (d *modelDaemon) judge(b *modelBatch, c Conclusion[int]) {
	least, most := 1<<30, 0
	for _, t := range b.transactions {
		if d.backend.beyond[t] {
			return
		}
		n := d.backend.counts[t]
		least, most = min(least, n), max(most, n)
	}
	wrong := false
	switch c.End {
	case Counted:
		wrong = least < 1
	case Dropped:
		wrong = most > 0
	case Partial:
		wrong = most == 0 && len(b.transactions) > 0 && c.Digits[First] == 0
	case Double:
		wrong = least < 1
	}
	wrong = wrong || c.Mask.Has(First) && c.End != Dropped && c.End != Unconfirmed && d.wrongSlices(b, c)
	if wrong {
		d.complain("batch %d is said to be %s with %v, and its transactions are counted %d to %d times", b.id, c.End, c.Digits, least, most)
	}
}

// wrongSlices reports whether a conclusion says of a slice what is not so.
func (d *modelDaemon) wrongSlices(b *modelBatch, c Conclusion[int]) bool {
	slices := Slices(c.Mask, c.Digits)
	number := -1
	for _, item := range d.items(b, Receipt{Mask: c.Mask}) {
		if item.names == nil {
			if item.receipt != Last {
				number = item.receipt
			}
			continue
		}
		n := d.backend.counts[item.transaction]
		switch slices[number] {
		case SliceCounted:
			if n != 1 {
				return true
			}
		case SliceMissing:
			if n != 0 {
				return true
			}
		}
	}
	return false
}
