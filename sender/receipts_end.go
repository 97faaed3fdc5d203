package sender

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/histogram"
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
)

// conclude ends a batch as its receipt says. What was dropped goes back into its lane.
func (k *keeper) conclude(ctx context.Context, c receipt.Conclusion[spool.BatchID]) {
	if k.flying(c.ID) {
		return // its outcome is about to be recorded; the conclusion comes again
	}
	info, live := k.spool.Batch(c.ID)
	if !live {
		k.close(ctx, c)
		return
	}
	if c.End == receipt.Dropped {
		k.sendAgain(ctx, c, &info)
		return
	}
	b, err := k.spool.Load(c.ID)
	if err != nil {
		k.log.Error("a report has an end and its batch cannot be read", zap.Stringer("batch", c.ID), zap.Error(err))
		return
	}
	k.name(c, info.Events)
	if !k.close(ctx, c) {
		return
	}
	// A crash here leaves the batch as it was: its receipt is read again, and says the same.
	r := k.decided(b, info.Attempted, Counted)
	l := k.laneOf(info.Lane)
	settled := k.options.Settling()
	if !k.persist(ctx, "resolve", l, func() error { return k.spool.Resolve(c.ID, r) }) {
		settled()
		return
	}
	k.options.Settled(b, r)
	settled()
	k.counts.delivered.Add(uint64(len(r.Delivered)))
	k.counts.resolved(b, r)
	k.Sender.mu.Lock()
	k.releaseLocked(c.ID)
	k.Sender.mu.Unlock()
	k.account(c, b.Events())
	if c.End == receipt.Counted {
		k.recovered(l)
	}
	k.touchKey(info.Lane)
	k.Sender.poke()
}

// flying reports whether an attempt at a batch is under way.
func (k *keeper) flying(id spool.BatchID) bool {
	k.Sender.mu.Lock()
	defer k.Sender.mu.Unlock()
	if l := k.lanes[k.key]; l != nil {
		_, flying := l.inFlight[id]
		return flying
	}
	return false
}

// laneOf is the lane of a key, for what is logged about it.
func (s *Sender) laneOf(key spool.LaneKey) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[key]; l != nil {
		return l
	}
	return newLane(key)
}

// close ends a report in the book. What may still land keeps its place, durably before the batch has its end.
func (k *keeper) close(ctx context.Context, c receipt.Conclusion[spool.BatchID]) bool {
	k.mu.Lock()
	kept := k.book.Close(c.ID, c.End, time.Now())
	k.mu.Unlock()
	return c.End == receipt.Counted && !kept || k.saveReceipts(ctx)
}

// sendAgain puts a batch back into its lane of which nothing was counted: with the same receipt where nothing shows why, since
// the first report may still land; without one where an application or metric is unknown, so that it is divided.
func (k *keeper) sendAgain(ctx context.Context, c receipt.Conclusion[spool.BatchID], info *spool.BatchInfo) {
	l := k.laneOf(info.Lane)
	record := k.spool.SendAgain
	if c.Culprit != "" {
		record = k.spool.DropReceipt
		if !k.close(ctx, c) {
			return
		}
	}
	if !k.persist(ctx, "send again", l, func() error { return record(c.ID) }) {
		return
	}
	if c.Culprit == "" {
		k.mu.Lock()
		k.book.Release(c.ID, time.Now())
		k.mu.Unlock()
	}
	if b, err := k.spool.Load(c.ID); err == nil {
		k.options.Settled(b, spool.Resolution{})
	}
	k.account(c, info.Events)
	k.spool.Recall(c.ID)
	k.touchKey(info.Lane)
	k.Sender.poke()
}

// account counts an end, and says it where people have something to look at.
func (k *keeper) account(c receipt.Conclusion[spool.BatchID], events uint64) {
	k.sum(c.End, events)
	if c.End == receipt.Counted {
		k.counts.confirmed.Observe(c.At.Sub(c.Sent).Seconds())
		return
	}
	k.log.Warn(endings[c.End], zap.String("service_id", k.service), zap.Stringer("batch", c.ID), zap.Uint64("events", events),
		zap.Time("sent", c.Sent), zap.String("unknown", c.Culprit), zap.Stringers("slices", receipt.Slices(c.Mask, c.Digits)))
}

// sum adds a report to the figures of an end.
func (k *keeper) sum(end receipt.End, events uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sum := k.results[end]
	sum.Reports++
	sum.Events += events
	k.results[end] = sum
}

var endings = map[receipt.End]string{
	receipt.Dropped:     "3scale accepted a report and counted nothing of it: it is sent again",
	receipt.Partial:     "3scale counted a part of a report: it is not sent again",
	receipt.Double:      "3scale counted a report more often than once",
	receipt.Unconfirmed: "whether 3scale counted a report cannot be found out: it is booked as delivered",
}

const countedLater = "a report was counted after its end was known"

// sayLate says what was counted after its end.
func (k *keeper) sayLate(ctx context.Context, late []receipt.Late[spool.BatchID]) {
	for _, l := range late {
		k.mu.Lock()
		k.late++
		k.mu.Unlock()
		k.log.Warn(countedLater, zap.String("service_id", k.service), zap.Stringer("batch", l.ID),
			zap.Stringer("end", l.End), zap.Bool("sent_again", l.Resent), zap.Stringers("slices", receipt.Slices(l.Mask, l.Digits)))
		k.nameLate(&l)
	}
	if len(late) > 0 {
		k.saveReceipts(ctx)
	}
}

// suspectsLocked are the reports to ask about now. k.mu is held.
func (k *keeper) suspectsLocked(now time.Time) []spool.BatchID {
	if k.options.Prober == nil {
		return nil
	}
	return k.book.Suspects(now)
}

// examineSuspects asks the backend about all applications and metrics of reports that are not counted.
func (k *keeper) examineSuspects(ids []spool.BatchID) {
	c, ok := k.credentialsOf(k.key)
	if !ok {
		return
	}
	scope := proof.Scope{ServiceID: k.service, Credentials: c}
	for _, id := range ids {
		b, err := k.spool.Load(id)
		if err != nil {
			continue
		}
		questions := questionsOf(b)
		k.options.Prober.Ask(scope, proof.Configured, questions, func(f *proof.Failure) {
			if f == nil {
				k.learn(id, scope, questions)
			}
		})
	}
}

// questionsOf are the questions about everything that a batch names.
func questionsOf(b *spool.Batch) []proof.Question {
	var questions []proof.Question
	seen := make(map[proof.Question]bool)
	add := func(q, about proof.Question) {
		if !seen[about] {
			seen[about] = true
			questions = append(questions, q)
		}
	}
	for i := range b.Transactions {
		t := &b.Transactions[i]
		q := proof.Question{Application: t.Application}
		add(q, q)
		for _, u := range t.Usage {
			add(proof.Question{Application: t.Application, Metric: u.Metric}, proof.Question{Metric: u.Metric})
		}
	}
	return questions
}

// learn takes what the questions about a report showed.
func (k *keeper) learn(id spool.BatchID, scope proof.Scope, questions []proof.Question) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n, q := range questions {
		what := fmt.Sprint("application ", n)
		switch {
		case q.Metric != "":
			what = "metric " + q.Metric
		case q.Application.ID != "":
			what = "application " + q.Application.ID
		}
		if at, denied := k.options.Proofs.Denied(scope, q); denied {
			k.book.Denied(id, what, at)
		} else {
			k.book.Vouched(id, what)
		}
	}
	k.poke()
}

// saveReceipts writes the places that are kept for reports which have an end. It reports whether that is durable.
func (k *keeper) saveReceipts(ctx context.Context) bool {
	k.receiptsFile.Lock()
	defer k.receiptsFile.Unlock()
	data, err := k.receiptsContent(time.Now())
	if err != nil {
		k.log.Error("receipts cannot be written", zap.Error(err))
		return false
	}
	return k.persist(ctx, "receipts", newLane(k.key), func() error { return k.spool.SaveReceipts(data) })
}

// Receipted is what receipts showed since the start, and what waits for them.
type Receipted struct {
	On     bool                     // a service has receipts
	Ends   map[string]ReceiptResult // by end: "counted", "dropped" (sent again), "partial", "double", "unconfirmed"
	Late   uint64                   // reports that were counted once more after their end
	Open   int                      // reports that wait for their receipts
	Reads  uint64                   // authorize calls that read receipts
	Absent []string                 // services whose receipt applications or metrics are gone

	Seconds histogram.Snapshot // from a report's latest attempt until its receipts showed that it was counted
	Named   []NamedEnd         // the last mostShown, the newest first
}

// mostShown is how many named ends the status shows.
const mostShown = 20

// receipted sums over all services.
func (s *Sender) receipted() Receipted {
	sum := Receipted{On: len(s.keepers) > 0, Ends: make(map[string]ReceiptResult), Seconds: s.counts.confirmed.Snapshot(), Named: s.named.latest(mostShown)}
	for service, k := range s.keepers {
		k.mu.Lock()
		for end, r := range k.results {
			total := sum.Ends[end.String()]
			total.Reports += r.Reports
			total.Events += r.Events
			sum.Ends[end.String()] = total
		}
		sum.Late += k.late
		sum.Open += k.book.Open()
		sum.Reads += k.reads
		if k.gone {
			sum.Absent = append(sum.Absent, service)
		}
		k.mu.Unlock()
	}
	slices.Sort(sum.Absent)
	return sum
}
