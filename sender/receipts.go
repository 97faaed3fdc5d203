package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Receipts are the receipt applications and metrics of one service. They exist for nothing else, and for one daemon.
type Receipts struct {
	// Applications by their place in a report: receipt.First to receipt.Last. Second and Third may be zero: reports then
	// have one slice.
	Applications [receipt.Applications]threescale.Application
	Metrics      []string // top-level metrics with a limit for eternity of receipt.Most
}

// keeper finds out what became of the reports of one service, by their receipts. A nil keeper: the service has none.
type keeper struct {
	*Sender
	service  string
	config   Receipts
	key      spool.LaneKey
	wake     chan struct{} // holds one
	troubled *outage.Outage

	mu         sync.Mutex // guards what follows; taken after the Sender's, if both are held
	book       *receipt.Book[spool.BatchID]
	usable     time.Time                     // when all applications and metrics were read last; zero: not yet, or one is gone
	checkAgain time.Time                     // when that is looked at again
	gone       bool                          // an application or metric is not known: reports carry no receipts
	reads      uint64                        // authorize calls made
	results    map[receipt.End]ReceiptResult // since the start
	late       uint64                        // reports that were counted again after their end
}

// ReceiptResult is how many reports came to an end.
type ReceiptResult struct{ Reports, Events uint64 }

const (
	usableFor  = time.Minute            // for so long an application or metric that was read may ride along
	readApart  = 100 * time.Millisecond // between two readings
	receiptGap = 250 * time.Millisecond // after which a batch that waits for a receipt is looked at again
)

// openReceipts makes the keepers of the services that have receipts, with what the spool knows of reports of before the
// start.
func (s *Sender) openReceipts(now time.Time) error {
	s.keepers = make(map[string]*keeper)
	for service, config := range s.options.Receipts {
		k := &keeper{
			Sender: s, service: service, config: config, key: spool.LaneKey{ServiceID: service},
			wake: make(chan struct{}, 1), results: make(map[receipt.End]ReceiptResult),
			book: receipt.New[spool.BatchID](len(config.Metrics), receipt.Rules{}, now),
			troubled: outage.New(outage.Options{
				Log: s.log.With(zap.String("service_id", service)), BeginLevel: zap.WarnLevel,
				Begin: "cannot read receipts: what was sent stays pending, and reading is retried", End: "receipts are read again",
			}),
		}
		s.keepers[service] = k
	}
	if err := s.reserveReceipts(); err != nil {
		return err
	}
	for _, b := range s.spool.Batches() {
		if k := s.keeperOf(b.Lane); k != nil && b.Receipt != "" && !b.Held {
			k.reopen(&b)
		}
	}
	return nil
}

// keeperOf returns the keeper of a lane. Lanes with credentials of their own have none.
func (s *Sender) keeperOf(key spool.LaneKey) *keeper {
	if !key.Credentials.IsZero() {
		return nil
	}
	return s.keepers[key.ServiceID]
}

// reopen goes on with a report of before the start. A receipt that cannot be read is as none.
func (k *keeper) reopen(b *spool.BatchInfo) {
	r, err := receipt.Parse([]byte(b.Receipt))
	released := !b.Sent && b.Unresolved == 0
	if err != nil || !k.book.Reopen(b.ID, r, b.Attempted, landsUntil(b), b.Attempts > 1 || released) {
		k.log.Warn("a report of before the start has a receipt that is not known here: its outcome stays unknown",
			zap.String("service_id", k.service), zap.Stringer("batch", b.ID), zap.Error(err))
		return
	}
	if released {
		k.book.Release(b.ID, time.Now())
	}
}

// landsUntil is when the backend cannot count a report any more, since its oldest usage is too old, with every difference of the clocks
// say within an hour.
func landsUntil(b *spool.BatchInfo) time.Time {
	oldest := time.Unix(b.OldestTimestamp, 0)
	if b.OldestTimestamp == 0 {
		oldest = time.Now()
	}
	return oldest.Add(threescale.MaxPast + time.Hour)
}

// waitsForReceipt reports whether a batch is not to be sent because its receipt says what became of its report.
func (s *Sender) waitsForReceipt(b *spool.BatchInfo) bool {
	k := s.keeperOf(b.Lane)
	if k == nil || b.Receipt == "" || !b.Sent && b.Unresolved == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.book.Has(b.ID)
}

// unresolved returns how many batches with an unknown outcome wait for their receipts, and how many events are in them.
func (k *keeper) unresolved() (batches int, events uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.book.IDs() {
		if b, live := k.spool.Batch(id); live && b.Unresolved > 0 && !b.Held && b.Receipt != "" {
			batches++
			events += b.Events
		}
	}
	return batches, events
}

// run reads and concludes until ctx ends.
func (k *keeper) run(ctx context.Context) {
	k.mu.Lock()
	next := k.book.Next(time.Now()) // without reports nothing is read
	k.mu.Unlock()
	for ctx.Err() == nil {
		var alarm <-chan time.Time
		if !next.IsZero() {
			alarm = time.After(max(readApart, time.Until(next)))
		}
		select {
		case <-ctx.Done():
		case <-k.wake:
			pause(ctx, readApart/4)
		case <-alarm:
		}
		if ctx.Err() == nil {
			next = k.round(ctx, time.Now())
		}
	}
}

// poke makes run look again.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// round makes one round: it reads what is due, asks about what is suspect, and ends what has an end. It returns when to
// come again; zero: when it is poked.
func (k *keeper) round(ctx context.Context, now time.Time) time.Time {
	if at := k.absentUntil(now); at.IsZero() && !k.read(ctx, now) {
		return now.Add(5 * time.Second)
	}
	k.mu.Lock()
	probe, wanted := k.book.Probe(now)
	suspects := k.suspectsLocked(now)
	conclusions, late := k.book.Conclusions(now), k.book.Late()
	k.mu.Unlock()
	if wanted && !k.isGone() {
		k.probe(ctx, probe)
	}
	k.examineSuspects(suspects)
	k.sayLate(ctx, late)
	for _, c := range conclusions {
		k.conclude(ctx, c)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return k.checkAgain
	}
	return k.book.Next(now)
}

// absentUntil is when an application or metric that is gone is looked for again; zero: now, or none is gone.
func (k *keeper) absentUntil(now time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.gone || !now.Before(k.checkAgain) {
		return time.Time{}
	}
	return k.checkAgain
}

func (k *keeper) isGone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone
}

// read reads the applications that are due, and reports whether all of that could be read.
func (k *keeper) read(ctx context.Context, now time.Time) bool {
	k.mu.Lock()
	asks := k.book.Asks(now)
	if k.gone || k.usable.IsZero() {
		asks = k.all()
	}
	k.mu.Unlock()
	absent := false
	for a := range receipt.Applications {
		if !asks.Has(a) || !k.all().Has(a) {
			continue
		}
		why, err := k.readOne(ctx, a)
		if ctx.Err() != nil {
			return false
		}
		k.troubled.Report(err)
		if err != nil {
			return false
		}
		if why != "" {
			k.lose(why, now)
			absent = true
		}
	}
	if !absent && asks&k.all() == k.all() {
		k.mu.Lock()
		back := k.gone
		k.usable, k.gone = now, false
		k.mu.Unlock()
		if back {
			k.log.Warn("receipt applications and metrics are there again: reports carry receipts", zap.String("service_id", k.service))
		}
	}
	return true
}

// all are the applications that there are.
func (k *keeper) all() (mask receipt.Mask) {
	for a := range receipt.Applications {
		if k.config.Applications[a] != (threescale.Application{}) {
			mask |= 1 << a
		}
	}
	return mask
}

// readOne reads one application's counters, over the connections of the reports. absent says what 3scale does not know.
func (k *keeper) readOne(ctx context.Context, a int) (absent string, err error) {
	c, ok := k.credentialsOf(k.key)
	if !ok {
		return "", errors.New("there are no credentials for the service")
	}
	asked := time.Now()
	values, absent, err := k.config.read(ctx, k.client, k.service, c, a)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	switch {
	case err != nil:
	case values == nil:
		k.book.Absent(a, asked)
	default:
		k.book.Seen(a, values, asked)
	}
	return absent, err
}

// read asks for one application's counters, one for each metric, or receipt.Missing. absent says what 3scale does not know; without
// values it is the application.
func (r *Receipts) read(ctx context.Context, client *threescale.Client, service string, c threescale.Credentials, a int) (values []uint64, absent string, err error) {
	answer, err := client.Authorize(ctx, &threescale.AuthorizeCall{ServiceID: service, Credentials: c, Application: r.Applications[a]})
	switch {
	case err != nil:
		return nil, "", err
	case answer.Code == threescale.CodeApplicationNotFound || answer.Code == threescale.CodeUserKeyInvalid:
		return nil, fmt.Sprintf("the %s receipt application is not known to 3scale", placeNames[a]), nil
	case answer.Verdict == nil:
		return nil, "", fmt.Errorf("3scale answered %d %s", answer.Status, answer.Code)
	}
	values, missing := r.values(answer.Verdict)
	if missing != "" {
		absent = fmt.Sprintf("the %s receipt application has no limit for eternity on the metric %s", placeNames[a], missing)
	}
	return values, absent, nil
}

// CheckReceipts returns why reports of a service could not carry these receipts: what 3scale does not know, or a limit that is too
// low. It makes one authorize call for each application, which counts nothing.
func CheckReceipts(ctx context.Context, client *threescale.Client, service string, c threescale.Credentials, r Receipts) error {
	for a := range r.Applications {
		if r.Applications[a] == (threescale.Application{}) {
			continue
		}
		values, absent, err := r.read(ctx, client, service, c, a)
		if err != nil {
			return fmt.Errorf("sender: read the %s receipt application: %w", placeNames[a], err)
		}
		if absent != "" {
			return fmt.Errorf("sender: %s", absent)
		}
		for n, value := range values {
			if value > receipt.Most/2 {
				return fmt.Errorf("sender: the counter of the metric %s of the %s receipt application is %d: it is used up", r.Metrics[n], placeNames[a], value)
			}
		}
	}
	return nil
}

// placeNames are what the configuration calls the receipt applications.
var placeNames = [receipt.Applications]string{"first", "second", "third", "last"}

// values are the counters of the receipt metrics, and the name of one that is missing.
func (r *Receipts) values(s *threescale.Status) (values []uint64, missing string) {
	values = make([]uint64, len(r.Metrics))
	for n, name := range r.Metrics {
		found := false
		for _, u := range s.UsageReports {
			if u.Metric == name && u.Period == threescale.Eternity {
				values[n], found = uint64(u.CurrentValue), true
			}
		}
		if !found {
			values[n], missing = receipt.Missing, name
		}
	}
	return values, missing
}

// lose notes that a receipt application or metric is gone: reports carry no receipts from now on, since one would void them.
func (k *keeper) lose(why string, asked time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.usable, k.checkAgain = time.Time{}, asked.Add(usableFor)
	if k.gone {
		return
	}
	k.gone = true
	k.log.Error("reports carry no receipts: delivered means accepted until this is mended",
		zap.String("service_id", k.service), zap.String("why", why))
}
