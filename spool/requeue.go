package spool

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Requeued is a dead letter that became a live batch again.
type Requeued struct {
	Letter DeadLetter
	Batch  BatchID
	Lane   LaneKey // with the credentials of the letter's file
}

// Requeue turns dead letters into live batches, by an atomic record of the batch log for each: their events leave Dead and are
// Pending. Letters of one lane are one batch, as far as they fit into a report, if the sender asks the backend about what was wrong
// with them before it reports them (reportedTogether); otherwise each is one. It returns once that is durable, with the letters that were requeued. err names those that were not: ErrUnknownLetter
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
	for reports := letterReports(files); len(reports) > 0; {
		written, some, logErr := s.writeRequeues(reports, restamp)
		if logErr != nil {
			for _, f := range lettersOf(reports) {
				s.letters.unlock(f.ID)
			}
			err = errors.Join(err, fmt.Errorf("spool: requeue: %d of %d letters stay: %w", len(files)-len(done), len(files), logErr))
			break
		}
		done, reports = append(done, some...), reports[written:]
	}
	s.removeRequeued()
	return done, err
}

// letterReport is letters that become one batch.
type letterReport struct {
	files         []letterFile
	params, bytes int
}

// letterReports divides letters into batches, in their order.
func letterReports(files []letterFile) (reports []letterReport) {
	type key struct {
		lane LaneKey
		flat bool
		code string
	}
	filling := make(map[key]int)
	for _, f := range files {
		k := key{f.lane(), f.FlatUsage, f.Reason.Code}
		at, found := filling[k]
		if !found || !reportedTogether(k.code) || !reports[at].takes(&f) {
			head, bytes := threescale.HeadCost(k.lane.ServiceID, k.lane.Credentials)
			reports = append(reports, letterReport{params: head, bytes: bytes})
			at = len(reports) - 1
			filling[k] = at
			reports[at].takes(&f)
		}
		reports[at].files = append(reports[at].files, f)
	}
	return reports
}

// takes reports whether a letter fits into the report, and adds what it takes if it does. The sender measures again what it sends.
func (r *letterReport) takes(f *letterFile) bool {
	t := f.transaction(time.Time{})
	params, bytes := t.FormCost(len(r.files))
	if len(r.files) == threescale.MaxTransactions || r.params+params > threescale.MaxParams || r.bytes+bytes > threescale.MaxBody {
		return false
	}
	r.params, r.bytes = r.params+params, r.bytes+bytes
	return true
}

// reportedTogether reports whether letters with a reason can be in a report with other usage: the sender does not report an application
// or a metric before the backend has confirmed it, and looks at timestamps itself. With any other reason the backend refused the
// transaction itself, and would refuse the report for it.
func reportedTogether(code string) bool {
	switch code {
	case threescale.CodeApplicationNotFound, threescale.CodeUserKeyInvalid, threescale.CodeMetricInvalid, "expired":
		return true
	}
	return false
}

func lettersOf(reports []letterReport) (files []letterFile) {
	for _, r := range reports {
		files = append(files, r.files...)
	}
	return files
}

// writeRequeues writes the records of the first reports: as many as fit into one frame. It returns how many.
func (s *Spool) writeRequeues(reports []letterReport, restamp time.Time) (written int, done []Requeued, err error) {
	var data []byte
	var records []logged
	for _, r := range reports {
		if len(data) >= maxGroup {
			break
		}
		written++
		var b *Batch
		data, records, b = s.appendRequeue(data, records, r.files, restamp)
		for _, f := range r.files {
			done = append(done, Requeued{Letter: f.DeadLetter, Batch: b.ID, Lane: b.Lane})
		}
	}
	if err := s.quota.Admit(int64(len(data)), s.batches.log.SegmentBytes); err != nil {
		return 0, nil, err
	}
	s.batches.compaction.RLock()
	defer s.batches.compaction.RUnlock()
	return written, done, s.batches.append(data, records)
}

// letterSeparator stands between the ids of letters in one record.
const letterSeparator = ","

// appendRequeue appends the record of letters that become one batch.
func (s *Spool) appendRequeue(data []byte, records []logged, files []letterFile, restamp time.Time) ([]byte, []logged, *Batch) {
	x := s.batches.index
	b := batchOfLetters(BatchID{Position: Position(x.reserveNumber()), Index: requeuedIndex}, files, restamp)
	e := x.describe(b)
	if !restamp.IsZero() {
		data, records = appendRestamped(data, records, b, files)
	}
	ids := make([]string, len(files))
	for i := range files {
		ids[i] = files[i].ID
	}
	letters, start := strings.Join(ids, letterSeparator), len(data)
	data = appendString(openRecord(data, recordRequeued), letters)
	data = closeRecord(appendBody(data, recordRequeued, 0, e, b.Transactions), start)
	e.offset, e.length = int64(start), uint32(len(data)-start)
	return data, append(records, logged{record: &record{kind: recordRequeued, letter: letters, entry: e}}), b
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

// lane returns the lane that the letter is reported in.
func (f *letterFile) lane() LaneKey {
	return LaneKey{ServiceID: f.ServiceID, Credentials: threescale.Credentials{ServiceToken: f.ServiceToken, ProviderKey: f.ProviderKey}}
}

// transaction returns the letter's transaction, which counts as many events as the letter.
func (f *letterFile) transaction(restamp time.Time) Transaction {
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
	return t
}

// batchOfLetters makes a batch of letters of one lane: a transaction of each, in their order.
func batchOfLetters(id BatchID, files []letterFile, restamp time.Time) *Batch {
	now := time.Now()
	b := &Batch{ID: id, FlatUsage: files[0].FlatUsage, Sealed: now, OldestAccepted: now, Lane: files[0].lane()}
	for i := range files {
		b.Transactions = append(b.Transactions, files[i].transaction(restamp))
	}
	return b
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
