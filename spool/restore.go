package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/threescale"
)

// RestoredName is the file by which an operator declares that the directory was restored from a copy. The next Open reads and
// removes it. If it contains "resend", what the copy has not delivered is sent; with any other content it is held until an
// operator decides.
const RestoredName = "RESTORED"

// heldBit in the unresolved attempts of a batch says that it is not sent, under any policy, until an operator decides.
const heldBit = uint32(1) << 31

const (
	notesPerFrame      = 10_000
	heldPerBatch       = 1000 // transactions: the maximum of one report
	restoredParkWord   = "park"
	restoredResendWord = "resend"
)

// MarkRestored writes RestoredName, durably. The directory must not be in use.
func MarkRestored(dir string, resend bool) error {
	held, holder, err := InUse(dir)
	if err != nil {
		return err
	}
	if held {
		return fmt.Errorf("spool: data directory %s is in use by process %s: %w", dir, holder, disk.ErrLocked)
	}
	word := restoredParkWord
	if resend {
		word = restoredResendWord
	}
	f, err := replaceFile(disk.OS{}, Always, filepath.Join(dir, RestoredName), []byte(word+"\n"))
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("spool: write %s: %w", RestoredName, err)
	}
	return nil
}

// adoption says which batches and events a start holds, because their outcome may be recorded elsewhere.
type adoption struct {
	hold bool
	upTo Position // events up to here are held, in batches or not
}

// adoption determines whether what is unresolved here may have been resolved: the directory is a copy, or its batch log lost
// records.
func (s *Spool) adoption(r *manifestFacts, found *Recovery) (a adoption) {
	switch {
	case r.restored != "":
		a.hold, a.upTo = r.restored != restoredResendWord, Position(s.counters.snapshot().Accepted)
	case r.copied:
		a.hold, a.upTo = true, Position(s.counters.snapshot().Accepted)
	default:
		for _, m := range found.Missing {
			a.hold = a.hold || m.Log == s.batches.log.Dir && !m.oldest
		}
		a.upTo = s.Committed()
	}
	if r.found && a.hold { // they were in batches whose records are gone
		a.upTo = max(a.upTo, r.committed)
	}
	return a
}

// adopt takes over the directory. Until the manifest is started, the next start repeats each step after a crash, with the same
// result.
func (s *Spool) adopt(r *manifestFacts, found *Recovery) error {
	if s.manifest == nil {
		return nil
	}
	id, file, err := r.id, r.fileNow, error(nil)
	if a := s.adoption(r, found); a.hold {
		if found.Held, err = s.hold(a.upTo); err != nil {
			return fmt.Errorf("spool: hold what is unresolved: %w", err)
		}
	} else if found.Lost > 0 || len(found.Missing) > 0 {
		_ = s.batches.append(nil, nil) // writes the totals to the log as well
	}
	found.Rebuilt = r.files < len(manifestNames) && id != ([16]byte{})
	if id == ([16]byte{}) || r.copied || r.restored != "" {
		if id, file, err = s.newDirectoryID(); err != nil {
			return err
		}
	}
	found.Identity = fmt.Sprintf("%x", id)
	if err := s.manifest.start(s.manifestState(r.generation, id, file)); err != nil {
		return err
	}
	if r.restored != "" {
		if err := errors.Join(s.fs.Remove(filepath.Join(s.dir, RestoredName)), s.fs.SyncDir(s.dir)); err != nil {
			return fmt.Errorf("spool: remove %s: %w", RestoredName, err)
		}
	}
	found.Counts, found.Committed, found.Batches = s.counters.snapshot(), s.Committed(), len(s.batches.index.live)
	return nil
}

// hold holds every live batch, and makes held batches of the events up to a position. It returns how many events that are, once
// it is durable.
func (s *Spool) hold(upTo Position) (events uint64, err error) {
	var records []logged
	var data []byte
	flush := func() error {
		if len(records) == 0 {
			return nil
		}
		err := s.batches.append(data, records)
		records, data = nil, nil
		return err
	}
	for _, e := range s.batches.index.live {
		events += e.events
		if e.unresolved&heldBit != 0 {
			continue
		}
		note := &record{kind: recordNote, id: e.id, unresolved: e.unresolved | heldBit, at: e.attempted}
		records = append(records, logged{record: note, offset: len(data)})
		if data = note.append(data); len(records) == notesPerFrame {
			if err := flush(); err != nil {
				return events, err
			}
		}
	}
	if err := flush(); err != nil {
		return events, err
	}
	sealed, err := s.sealHeld(upTo)
	return events + sealed, err
}

// sealHeld cuts the journal up to a position into held batches, each event as its own transaction.
func (s *Spool) sealHeld(upTo Position) (events uint64, err error) {
	upTo = min(upTo, Position(s.journal.log.NextSequence()-1))
	if upTo <= s.Committed() {
		return 0, nil
	}
	tail := s.Tail()
	defer func() { _ = tail.Close() }()
	cut, err := s.BeginCut(upTo)
	if err != nil {
		return 0, err
	}
	defer func() { _ = cut.Abort() }()
	cut.held = true
	h := heldBatches{cut: cut, open: make(map[heldKey]*Batch)}
	for {
		found, err := tail.step()
		if err != nil {
			return 0, fmt.Errorf("read journal: %w", err)
		}
		if !found || tail.group.First > upTo {
			break
		}
		at := tail.group.First
		for e := range tail.group.Events {
			if at > upTo {
				break
			}
			at++
			if err := h.add(e, &tail.group); err != nil {
				return 0, err
			}
		}
	}
	for _, b := range h.open {
		if err := cut.Add(b); err != nil {
			return 0, err
		}
	}
	events = cut.events
	return events, cut.Commit(h.nothing)
}

// cloneTransaction copies a transaction whose strings are views.
func cloneTransaction(t *threescale.Transaction) threescale.Transaction {
	c := *t
	c.Application = threescale.Application{ID: strings.Clone(t.Application.ID), UserKey: strings.Clone(t.Application.UserKey)}
	c.Usage = make(threescale.Usage, len(t.Usage))
	for i, u := range t.Usage {
		c.Usage[i] = threescale.Increment{Metric: strings.Clone(u.Metric), Value: u.Value}
	}
	return c
}

// heldKey identifies the batch for an event.
type heldKey struct {
	lane LaneKey
	flat bool
}

// heldBatches are the batches of a cut that are being filled.
type heldBatches struct {
	cut     *Cut
	open    map[heldKey]*Batch
	nothing uint64 // events without usage
}

// add puts an event into its batch, and adds the batch to the cut when it is full.
func (h *heldBatches) add(e *event.Event, g *Group) error {
	if len(e.Usage) == 0 {
		h.nothing++
		return nil
	}
	key := heldKey{lane: LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}, flat: e.FlatUsage}
	b := h.open[key]
	if b == nil {
		key.lane = key.lane.Clone()
		b = &Batch{Lane: key.lane, FlatUsage: key.flat, OldestAccepted: g.Accepted}
		h.open[key] = b
	}
	b.Transactions = append(b.Transactions, Transaction{Transaction: cloneTransaction(&e.Transaction), Events: 1})
	if len(b.Transactions) < heldPerBatch {
		return nil
	}
	delete(h.open, key)
	return h.cut.Add(b)
}
