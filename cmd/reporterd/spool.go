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
