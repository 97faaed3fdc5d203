package main

import (
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

// openSpool opens the data directory and says what was found there.
func openSpool(log *zap.Logger, c *config.Config) (*spool.Spool, error) {
	mode := spool.Always
	if c.Spool.Sync == "never" {
		mode = spool.Never
	}
	s, found, err := spool.Open(spool.Options{
		Dir: c.DataDir, MaxBytes: int64(c.Spool.MaxBytes), MinFreeBytes: int64(c.Spool.MinFreeBytes),
		Sync: mode, DedupeWindow: c.Dedupe.Window, MaxIDs: c.Dedupe.MaxIDs, Accounted: c.Ledger.Enabled,
		RejectedBytes: int64(c.DeadLetters.RejectedMaxBytes), RejectedLetters: c.DeadLetters.RejectedMaxLetters,
		Trouble: sayDirectory(log.Named("spool")),
	})
	if err != nil {
		return nil, err
	}
	sayRecovery(log.Named("spool"), found)
	return s, nil
}

// sayRecovery logs a line for each fact: the summary for the record, the rest because an operator should
// know.
func sayRecovery(log *zap.Logger, found *spool.Recovery) {
	for i, line := range found.Lines() {
		if i == 0 {
			log.Info(line)
			continue
		}
		log.Warn(line)
	}
}

func closeSpool(log *zap.Logger, s *spool.Spool) {
	if err := s.Close(); err != nil {
		log.Warn("closing the data directory", zap.Error(err))
	}
}

// sayDirectory logs that something is wrong with the data directory when it begins, and that it is over when
// it is.
func sayDirectory(log *zap.Logger) func(spool.Trouble) {
	return func(t spool.Trouble) {
		switch {
		case t.Err != nil && t.What == spool.TroubleDirectory:
			log.Error("the data directory was removed or replaced: requests are answered 503 and nothing is sent until the same one is back; otherwise restart", zap.Error(t.Err))
		case t.Err != nil:
			log.Error("cannot write the manifest: accepting and sending go on, and a start after a crash knows less of what is missing", zap.Error(t.Err))
		case t.What == spool.TroubleDirectory:
			log.Warn("the data directory is back: requests are accepted again")
		default:
			log.Info("the manifest is written again")
		}
	}
}
