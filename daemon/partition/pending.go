package partition

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// authorizeMark is the file that says that authorizations were asked for: then usage on disk is read at the start, before any of
// it is sent.
const authorizeMark = "AUTHORIZE"

const authorizeNote = "Authorizations were asked of reporterd: at its start it reads the usage that is still to be delivered.\n"

// authorized reports whether authorizations were asked for in an earlier life.
func authorized(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, authorizeMark))
	return err == nil
}

// pendingUsage reads the usage that is on disk and not delivered.
type pendingUsage struct {
	spool *spool.Spool
	dir   string // where the mark is made
}

// each calls add for all of it, and marks the directory, so that the next start does so before anything is sent.
func (u pendingUsage) each(add func(authorize.Usage)) error {
	return errors.Join(u.read(add), os.WriteFile(filepath.Join(u.dir, authorizeMark), []byte(authorizeNote), 0o600))
}

// read goes over what is sealed in batches up to a cut, and what the journal holds behind it.
func (u pendingUsage) read(add func(authorize.Usage)) error {
	s := u.spool
	cut, batches, tail := s.Committed(), s.Batches(), s.Tail()
	for tries := 0; s.Committed() != cut && tries < 10; tries++ { // a cut came between
		cut, batches, tail = s.Committed(), s.Batches(), s.Tail()
	}
	defer func() { _ = tail.Close() }() // opened for reading
	for i := range batches {
		if err := u.readBatch(&batches[i], add); err != nil {
			return err
		}
	}
	for last := s.Readable(); cut < last; {
		group, err := tail.Next(context.Background()) // does not wait: the last is durable, and there
		if err != nil {
			return err
		}
		for e := range group.Events {
			lane := authorize.Lane{ServiceID: e.ServiceID, Credentials: e.Credentials, FlatUsage: e.FlatUsage}
			add(authorize.Usage{Lane: lane, Transaction: &e.Transaction})
		}
		cut = group.Last
	}
	return nil
}

func (u pendingUsage) readBatch(info *spool.BatchInfo, add func(authorize.Usage)) error {
	b, err := u.spool.Load(info.ID)
	if errors.Is(err, spool.ErrUnknownBatch) || errors.Is(err, spool.ErrDamaged) {
		return nil // it ended meanwhile, or will be lost
	}
	if err != nil {
		return err
	}
	usage := authorize.Usage{Lane: laneOf(b)}
	if info.Attempts > 0 {
		usage.Batch = info.ID.String()
	}
	for i := range b.Transactions {
		usage.Index, usage.Transaction = i, &b.Transactions[i].Transaction
		add(usage)
	}
	return nil
}

func laneOf(b *spool.Batch) authorize.Lane {
	return authorize.Lane{ServiceID: b.Lane.ServiceID, Credentials: b.Lane.Credentials, FlatUsage: b.FlatUsage}
}

// reportFollower tells the authorizer what becomes of usage that is reported.
type reportFollower struct{ authorizer *authorize.Authorizer }

// sending says that a report is about to be sent.
func (f reportFollower) sending(b *spool.Batch, sent []int) {
	f.authorizer.Sending(b.ID.String(), laneOf(b), func(yield func(int, *threescale.Transaction) bool) {
		for _, i := range sent {
			if !yield(i, &b.Transactions[i].Transaction) {
				return
			}
		}
	})
}

// settled says where the transactions of a report went.
func (f reportFollower) settled(b *spool.Batch, r spool.Resolution) {
	outcomes := make([]authorize.Outcome, len(b.Transactions))
	for i := range outcomes {
		outcomes[i] = authorize.Returned
	}
	for _, i := range r.Delivered {
		outcomes[i] = authorize.Delivered
	}
	for i := range r.Dead {
		outcomes[r.Dead[i].Index] = authorize.Refused
	}
	f.authorizer.Settled(b.ID.String(), laneOf(b), func(yield func(*threescale.Transaction, authorize.Outcome) bool) {
		for i := range outcomes {
			if !yield(&b.Transactions[i].Transaction, outcomes[i]) {
				return
			}
		}
	})
}
