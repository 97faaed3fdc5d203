package spool

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Requeued is a dead letter that became a live batch again.
type Requeued struct {
	Letter DeadLetter
	Batch  BatchID
	Lane   LaneKey // with the credentials of the letter's file
}

// Requeue turns dead letters into live batches, one each, by an atomic record of the batch log: its events leave Dead and are
// Pending. It returns once that is durable, with the letters that were requeued. err names those that were not: ErrUnknownLetter
// if the id is not that of a dead letter. A crash at any point leaves a letter dead or live, never both and never neither. The
// transactions keep their timestamps, which the sender checks again, unless restamp is a time. At most 1000 ids.
func (s *Spool) Requeue(ids []string, restamp time.Time) (done []Requeued, err error) {
	if len(ids) > maxLetters {
		return nil, fmt.Errorf("spool: requeue: %d dead letters at once: at most %d", len(ids), maxLetters)
	}
	s.removeRequeued()
	var files []letterFile
	for _, id := range ids {
		letter, lockErr := s.letters.lock(id)
		if lockErr == nil {
			lockErr = letter.check()
			if lockErr != nil {
				s.letters.unlock(id)
			}
		}
		if lockErr != nil {
			err = errors.Join(err, fmt.Errorf("spool: requeue dead letter %s: %w", id, lockErr))
			continue
		}
		files = append(files, letter)
	}
	if len(files) == 0 {
		return nil, err
	}
	for len(files) > 0 {
		some, logErr := s.writeRequeues(files, restamp)
		if logErr != nil {
			for _, f := range files {
				s.letters.unlock(f.ID)
			}
			err = errors.Join(err, fmt.Errorf("spool: requeue: %d of %d letters stay: %w", len(files), len(files)+len(done), logErr))
			break
		}
		done, files = append(done, some...), files[len(some):]
	}
	s.removeRequeued()
	return done, err
}

// writeRequeues writes the records of the first letters: as many as fit into one frame.
func (s *Spool) writeRequeues(files []letterFile, restamp time.Time) ([]Requeued, error) {
	x := s.batches.index
	var data []byte
	var records []logged
	done := make([]Requeued, 0, len(files))
	for _, f := range files {
		if len(data) >= maxGroup {
			break
		}
		b := f.batch(BatchID{Position: Position(x.reserveNumber()), Index: requeuedIndex}, restamp)
		e := x.describe(b)
		if !restamp.IsZero() {
			data, records = appendRestamped(data, records, b, f.Timestamp.Unix())
		}
		start := len(data)
		data = appendString(openRecord(data, recordRequeued), f.ID)
		data = closeRecord(appendBody(data, recordRequeued, 0, e, b.Transactions), start)
		e.offset, e.length = int64(start), uint32(len(data)-start)
		records = append(records, logged{record: &record{kind: recordRequeued, letter: f.ID, entry: e}})
		done = append(done, Requeued{Letter: f.DeadLetter, Batch: b.ID, Lane: b.Lane})
	}
	if err := s.quota.Admit(int64(len(data)), s.batches.log.SegmentBytes); err != nil {
		return nil, err
	}
	s.batches.compaction.RLock()
	defer s.batches.compaction.RUnlock()
	return done, s.batches.append(data, records)
}

// check reports why a letter cannot be sent again, or nil.
func (f *letterFile) check() error {
	switch {
	case f.Original != nil:
		return errOriginal
	case f.ServiceID == "" && f.ProviderKey == "" || f.Events > math.MaxUint32 || f.Events == 0 && len(f.Usage) == 0:
		return errors.New("its file has no service_id, or an impossible number of events") // a part of a transaction that was split by metric may have 0 events
	case (f.AppID == "") == (f.UserKey == ""):
		return errors.New("its file has to have either app_id or user_key")
	}
	return nil
}

// batch makes a batch of a letter. Its only transaction counts as many events as the letter.
func (f *letterFile) batch(id BatchID, restamp time.Time) *Batch {
	now := time.Now()
	at := f.Timestamp
	if !restamp.IsZero() {
		at = restamp
	}
	t := Transaction{Events: uint32(f.Events), Transaction: threescale.Transaction{
		Application: threescale.Application{ID: f.AppID, UserKey: f.UserKey}, Timestamp: at.Unix(), Code: f.ResponseCode,
	}}
	for metric, value := range f.Usage {
		t.Usage = append(t.Usage, threescale.Increment{Metric: metric, Value: value})
	}
	slices.SortFunc(t.Usage, func(a, b threescale.Increment) int { return cmp.Compare(a.Metric, b.Metric) })
	return &Batch{
		ID: id, FlatUsage: f.FlatUsage, Sealed: now, OldestAccepted: now, Transactions: []Transaction{t},
		Lane: LaneKey{ServiceID: f.ServiceID, Credentials: threescale.Credentials{
			ServiceToken: f.ServiceToken, ProviderKey: f.ProviderKey,
		}},
	}
}

// Drop deletes dead letters. It returns once that is durable, with the deleted letters: of a file that cannot be read, only the
// id. Their events stay counted in Dead. err names those that are not deleted, and those whose removal may not be durable: a
// crash can bring them back. At most 1000 ids.
func (s *Spool) Drop(ids []string) (dropped []DeadLetter, err error) {
	if len(ids) > maxLetters {
		return nil, fmt.Errorf("spool: drop: %d dead letters at once: at most %d", len(ids), maxLetters)
	}
	for _, id := range ids {
		letter, lockErr := s.letters.lock(id)
		if errors.Is(lockErr, errNoLetter) {
			letter, lockErr = letterFile{DeadLetter: DeadLetter{ID: id}}, nil
		}
		if lockErr == nil {
			lockErr = s.letters.remove(id)
			s.letters.unlock(id)
		}
		if lockErr != nil {
			err = errors.Join(err, fmt.Errorf("spool: drop dead letter %s: %w", id, lockErr))
			continue
		}
		dropped = append(dropped, letter.DeadLetter)
	}
	if syncErr := s.letters.sync(); syncErr != nil {
		err = errors.Join(err, fmt.Errorf("spool: drop dead letters: %w", syncErr))
	}
	return dropped, err
}

// removeRequeued removes the files of letters that were requeued. Once that is durable, it unpins the segments that record the
// requeue. A file that cannot be removed stays hidden; the next call and the next start retry.
//
// Another frame is written first. Its totals count the letters as pending, so if the record before it is damaged, its events are
// counted as lost. Without that frame, damage to the record would leave them counted as dead, without files.
func (s *Spool) removeRequeued() {
	x := s.batches.index
	requeued := x.requeuedLetters()
	if len(requeued) == 0 || s.batches.append(nil, nil) != nil {
		return
	}
	var gone, missing []string
	for _, letter := range requeued {
		switch err := s.letters.remove(letter); {
		case err == nil:
			gone = append(gone, letter)
		case errors.Is(err, ErrUnknownLetter):
			missing = append(missing, letter)
		}
	}
	gone = append(gone, s.letters.absent(missing)...)
	if len(gone) == 0 || s.letters.sync() != nil {
		return
	}
	for _, letter := range gone {
		x.unpin(letter)
		s.letters.unlock(letter)
	}
}
