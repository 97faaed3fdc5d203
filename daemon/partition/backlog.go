package partition

import (
	"context"
	"errors"
	"iter"
	"sync"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// backlogOf opens the usage that is on disk and not delivered, for the first authorization of a run. Once it is read the
// directory is marked, so that the next run reads its usage before any of it is sent.
func backlogOf(log *zap.Logger, s *spool.Spool, dir string) func() quota.Backlog {
	return func() quota.Backlog {
		p := s.Pending()
		byName := make(map[string]spool.BatchID, len(p.Batches))
		b := quota.Backlog{Reports: make([]quota.PendingReport, len(p.Batches))}
		for i := range p.Batches {
			info := &p.Batches[i]
			name := info.ID.String()
			byName[name] = info.ID
			b.Reports[i] = quota.PendingReport{Batch: name, Transactions: info.Transactions, Attempted: info.Attempts > 0}
		}
		b.Read = func(name string) (quota.Lane, []threescale.Transaction, error) {
			return readReport(s, byName[name])
		}
		mark := sync.OnceFunc(func() {
			if err := markAuthorized(dir); err != nil {
				log.Warn("cannot mark the data directory: after a restart usage on disk is counted with the first authorization", zap.Error(err))
			}
		})
		b.Next = func(ctx context.Context) (iter.Seq[quota.Usage], error) {
			mark()
			group, err := p.Next(ctx)
			if err != nil {
				return nil, err
			}
			return usageOf(group), nil
		}
		b.Close = func() {
			if err := p.Close(); err != nil {
				log.Warn("cannot release the journal, retrying after the next cut", zap.Error(err))
			}
		}
		return b
	}
}

// readReport reads a batch. The sender will count a damaged one as lost.
func readReport(s *spool.Spool, id spool.BatchID) (quota.Lane, []threescale.Transaction, error) {
	b, err := s.Load(id)
	if errors.Is(err, spool.ErrUnknownBatch) || errors.Is(err, spool.ErrDamaged) {
		return quota.Lane{}, nil, quota.ErrNoReport
	}
	if err != nil {
		return quota.Lane{}, nil, err
	}
	list := make([]threescale.Transaction, len(b.Transactions))
	for i := range b.Transactions {
		list[i] = b.Transactions[i].Transaction
	}
	return laneOf(b), list, nil
}

// usageOf returns the usage of a group of events.
func usageOf(group *spool.Group) iter.Seq[quota.Usage] {
	return func(yield func(quota.Usage) bool) {
		for e := range group.Events {
			lane := quota.Lane{ServiceID: e.ServiceID, Credentials: e.Credentials, FlatUsage: e.FlatUsage}
			if !yield(quota.Usage{Lane: lane, Transaction: &e.Transaction}) {
				return
			}
		}
	}
}
