package partition

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/internal/durable"
	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/spool"
)

const (
	// answersFile contains what authorizations know, for the next start after a stop or a crash.
	answersFile    = "authorizations"
	answersVersion = 3

	// saveEvery is the shortest interval at which the file is written. Writing takes at most one saveShare of the time.
	saveEvery = 10 * time.Second
	saveShare = 50
)

// answersHead is the first line of the file; the rest is an authorize.Saved in JSON.
type answersHead struct {
	Version int    `json:"version"`
	Next    uint64 `json:"next"` // the first record of the batch log whose outcome is not included in the file
	Bytes   int    `json:"bytes"`
	Sum     uint32 `json:"crc32c"`
}

// savedAnswers saves what is known of authorizations in a file. The file includes what was delivered up to a record of the batch
// log; a start reads later deliveries from the log, which keeps these records (A4).
type savedAnswers struct {
	always     bool // usage on disk is read in any case
	log        *zap.Logger
	dir        string
	authorizer *authorize.Authorizer
	quota      *quota.Tracker
	spool      *spool.Spool

	// settling is held for reading from before an outcome is recorded until the quota includes it, and for writing while the
	// file's content is collected, so that both agree.
	settling sync.RWMutex
}

func (s *savedAnswers) name() string { return filepath.Join(s.dir, answersFile) }

// settle is sender.Options.Settling.
func (s *savedAnswers) settle() (settled func()) {
	s.settling.RLock()
	return s.settling.RUnlock
}

// keepLog keeps the records of outcomes that the file does not include, before the batch log can remove them.
func (s *savedAnswers) keepLog() {
	if authorized(s.dir) {
		s.spool.KeepFrom(1)
	}
}

// begin makes the quota count the usage on disk, if authorizations were requested in an earlier run or always is set, and
// restores what that run knew. It is called before anything is accepted, sent or answered; pending usage is read concurrently,
// and authorizations wait until it is read.
func (s *savedAnswers) begin(ctx context.Context) {
	asked := authorized(s.dir)
	if !asked && !s.always {
		return
	}
	s.removeOld()
	if asked {
		s.restore(ctx)
	}
	s.quota.Follow()
}

// restore loads what an earlier run saved, and what was delivered since.
func (s *savedAnswers) restore(ctx context.Context) {
	head, saved, err := readAnswers(s.name())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return // 3scale is asked about every application
	case err == nil && head.Next > s.spool.ChangesEnd():
		err = errors.New("the batch log lost the records at its end")
	case err == nil:
		err = s.authorizer.Restore(saved)
	}
	if err != nil {
		s.log.Warn("cannot use the saved authorizations: applications are asked about again, and usage that 3scale's worker has not counted yet is not known",
			zap.Error(err))
		return
	}
	delivered, err := s.replay(ctx, head.Next)
	if err != nil {
		s.log.Warn("cannot read what was delivered since authorizations were saved: usage that 3scale's worker has not counted yet is not known", zap.Error(err))
	}
	s.log.Info("authorizations are restored", zap.Int("answers", s.authorizer.Stats().Entries), zap.Int("delivered_since", delivered))
}

// readAnswers reads a saved file.
func readAnswers(name string) (head answersHead, saved *authorize.Saved, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return head, nil, err
	}
	first, body, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(first, &head); err != nil {
		return head, nil, fmt.Errorf("%s: %w", name, err)
	}
	if head.Version != answersVersion {
		return head, nil, fmt.Errorf("%s: version %d, expected %d", name, head.Version, answersVersion)
	}
	if len(body) != head.Bytes || crc32.Checksum(body, castagnoli) != head.Sum {
		return head, nil, fmt.Errorf("%s: the checksum does not hold", name)
	}
	saved = new(authorize.Saved)
	if err := json.Unmarshal(body, saved); err != nil {
		return head, nil, fmt.Errorf("%s: %w", name, err)
	}
	return head, saved, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// replay counts what was delivered from a record on, and returns how many transactions that were.
func (s *savedAnswers) replay(ctx context.Context, next uint64) (delivered int, err error) {
	end := s.spool.ChangesEnd()
	feed := s.spool.ChangesFrom(next)
	defer func() { err = errors.Join(err, feed.Close()) }()
	missed := false
	for next < end {
		page, err := feed.Next(ctx)
		if err != nil {
			return delivered, err
		}
		missed = missed || page.Missed
		for i := range page.Events {
			delivered += s.replayEvent(&page.Events[i])
		}
		next = page.Next
	}
	if missed {
		return delivered, errors.New("records are missing in the batch log")
	}
	return delivered, nil
}

// replayEvent counts what was delivered of a batch: transactions that are neither dead nor in a child.
func (s *savedAnswers) replayEvent(e *spool.BatchEvent) (delivered int) {
	if e.Kind != spool.BatchEnded {
		return 0
	}
	lane := laneOf(e.Batch)
	count := func(list []spool.Transaction, undo bool) {
		for i := range list {
			s.quota.Replay(lane, &list[i].Transaction, undo)
		}
	}
	count(e.Batch.Transactions, false)
	delivered = len(e.Batch.Transactions) - len(e.Dead)
	for _, child := range e.Children {
		count(child.Transactions, true)
		delivered -= len(child.Transactions)
	}
	count(e.Dead, true)
	for i := range e.Late {
		moved := e.Late[i].Transaction
		s.quota.Replay(lane, &moved.Transaction, true)
		moved.Timestamp = e.Late[i].Sent
		s.quota.Replay(lane, &moved.Transaction, false)
	}
	return delivered
}

// run saves until ctx ends.
func (s *savedAnswers) run(ctx context.Context) error {
	saving := outage.New(outage.Options{
		Log: s.log, BeginLevel: zap.WarnLevel,
		Begin: "cannot save the authorizations: after a crash applications are asked about again",
		End:   "authorizations are saved again",
	})
	for wait := saveEvery; ; {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		began := time.Now()
		saving.Report(s.write())
		wait = max(saveEvery, saveShare*time.Since(began))
	}
}

// save writes the file when the daemon stops.
func (s *savedAnswers) save() {
	if err := s.write(); err != nil {
		s.log.Warn("cannot save the authorizations: after the restart applications are asked about again", zap.Error(err))
	}
}

// write replaces the file, once all usage is counted. The outcomes that it includes need not be kept in the log any longer.
func (s *savedAnswers) write() error {
	if !authorized(s.dir) || !s.quota.Loaded() {
		return nil
	}
	s.settling.Lock()
	next, known := s.spool.ChangesEnd(), s.quota.Save()
	s.settling.Unlock()
	body, err := json.Marshal(s.authorizer.Save(known))
	if err != nil {
		return err
	}
	head, err := json.Marshal(answersHead{answersVersion, next, len(body), crc32.Checksum(body, castagnoli)})
	if err != nil {
		return err
	}
	err = durable.Write(s.name(), 0o600, func(w io.Writer) error {
		_, err := w.Write(append(append(head, '\n'), body...))
		return err
	})
	if err == nil {
		s.spool.KeepFrom(next)
	}
	return err
}

// removeOld removes the files of earlier versions, which only a clean stop wrote.
func (s *savedAnswers) removeOld() {
	names, _ := filepath.Glob(filepath.Join(s.dir, answersFile+".*")) // fails only for a bad pattern
	for _, name := range names {
		_ = os.Remove(name)
	}
}
