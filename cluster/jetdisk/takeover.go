package jetdisk

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// takeOver fences the former owner, and reads the disk. Its own messages are written after any last message; from then on a
// process that does not know them cannot write. Sealed files are neither fenced nor read: no owner writes to them without a change
// of the directory.
func (d *Disk) takeOver(ctx context.Context) (err error) {
	epoch, err := json.Marshal(record{Op: opEpoch, Format: format})
	if err != nil {
		return err
	}
	if d.last, err = d.publishUnfenced(d.directory(), epoch); err != nil {
		return err
	}
	d.epoch = d.last
	l := newListing()
	if err = d.readTo(ctx, []string{d.directory()}, d.last, func(subject string, seq uint64, body []byte) error {
		if d.oldest == 0 {
			d.oldest = seq
		}
		if err := l.read(seq, body); errors.Is(err, errNewer) {
			return err
		} else if err != nil {
			d.o.SetAside(subject, seq, err)
		}
		return nil
	}); err != nil {
		return err
	}
	d.names, d.records = l.names, l.records
	open := map[uint64]*node{}
	for id, n := range l.byID {
		if !n.sealed {
			open[id] = n
		}
	}
	if err := d.readOpen(ctx, open); err != nil {
		return err
	}
	if len(open) > recordsKept { // most of them can be sealed
		d.records += len(d.names) + recordsKept
	}
	go d.discardNameless(l.byID, d.epoch) // ends with Close at the latest
	return nil
}

// readOpen fences and reads the files that are not sealed.
func (d *Disk) readOpen(ctx context.Context, open map[uint64]*node) error {
	last, err := d.fence(open)
	if err != nil || last == 0 {
		return err
	}
	return d.readTo(ctx, d.subjects(open), last, func(subject string, seq uint64, body []byte) error {
		id, err := strconv.ParseUint(strings.TrimPrefix(subject, d.files()), 10, 64)
		n := open[id]
		switch {
		case err != nil:
			d.o.SetAside(subject, seq, err)
		case n == nil: // sealed, or without a name
		case len(body) == 0: // a takeover
			n.last = seq
		default:
			if err := n.loadLocked(seq, body); err != nil {
				n.last = seq
				d.o.SetAside(subject, seq, err)
				return nil
			}
			d.cache.put(seq, body)
		}
		return nil
	})
}

// maxFilters is how many subjects a reader names; for more it reads those of all files.
const maxFilters = 64

func (d *Disk) subjects(open map[uint64]*node) (all []string) {
	if len(open) > maxFilters {
		return []string{d.files() + "*"}
	}
	for _, n := range open {
		all = append(all, n.subject(d))
	}
	return all
}

// fences is how many files are fenced at the same time.
const fences = 16

// fence publishes a message to each file that is not sealed, and returns the last sequence number.
func (d *Disk) fence(open map[uint64]*node) (last uint64, err error) {
	var (
		work sync.WaitGroup
		mu   sync.Mutex // guards last and err
		next = make(chan *node)
	)
	for range min(fences, len(open)) {
		work.Go(func() {
			for n := range next {
				seq, failed := d.publishUnfenced(n.subject(d), nil)
				d.o.Reading()
				mu.Lock()
				last, err = max(last, seq), errors.Join(err, failed)
				mu.Unlock()
			}
		})
	}
	for _, n := range open {
		mu.Lock()
		failed := err != nil
		mu.Unlock()
		if failed {
			break
		}
		next <- n
	}
	close(next)
	work.Wait()
	return last, err
}

// publishUnfenced publishes to a subject without a fence.
func (d *Disk) publishUnfenced(subject string, body []byte) (uint64, error) {
	return d.publish(subject, anyLast, body)
}

// discardDelay is how long after a takeover files without a name are looked for: listing all subjects takes the servers a while, which is
// missing for the takeover.
const discardDelay = 30 * time.Second

// discardNameless removes the messages of files without a name, whose removal was not finished: those of former owners that are not in
// named, and older than the takeover at epoch.
func (d *Disk) discardNameless(named map[uint64]*node, epoch uint64) {
	select {
	case <-time.After(discardDelay):
	case <-d.ctx.Done():
		return
	}
	info, err := d.stream.Info(d.ctx, jetstream.WithSubjectFilter(d.files()+"*"))
	if err != nil {
		return // the next owner tries again
	}
	for subject := range info.State.Subjects {
		id, err := strconv.ParseUint(strings.TrimPrefix(subject, d.files()), 10, 64)
		if err == nil && id < epoch && named[id] == nil && d.ctx.Err() == nil {
			d.purge(subject, 0)
		}
	}
}
