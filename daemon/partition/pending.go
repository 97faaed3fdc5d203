package partition

import (
	"os"
	"path/filepath"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// authorizeMark is the file that says that authorizations were requested: then a start reads usage on disk before any of it is
// sent.
const authorizeMark = "AUTHORIZE"

const authorizeNote = "Authorizations were asked of reporterd: at its start it reads the usage that is still to be delivered.\n"

// authorized reports whether authorizations were requested in an earlier run.
func authorized(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, authorizeMark))
	return err == nil
}

func markAuthorized(dir string) error {
	return os.WriteFile(filepath.Join(dir, authorizeMark), []byte(authorizeNote), 0o600)
}

func laneOf(b *spool.Batch) quota.Lane {
	return quota.Lane{ServiceID: b.Lane.ServiceID, Credentials: b.Lane.Credentials, FlatUsage: b.FlatUsage}
}

// reportFollower tells the quota the outcome of reported usage.
type reportFollower struct{ quota *quota.Tracker }

// sending is called before a report is sent.
func (f reportFollower) sending(b *spool.Batch, sent []int) {
	f.quota.Sending(b.ID.String(), laneOf(b), func(yield func(int, *threescale.Transaction) bool) {
		for _, i := range sent {
			if !yield(i, &b.Transactions[i].Transaction) {
				return
			}
		}
	})
}

// settled is called with the outcome of the transactions of a report.
func (f reportFollower) settled(b *spool.Batch, r spool.Resolution) {
	outcomes := make([]quota.Outcome, len(b.Transactions))
	for i := range outcomes {
		outcomes[i] = quota.Returned
	}
	for _, i := range r.Delivered {
		outcomes[i] = quota.Delivered
	}
	for _, i := range r.Restamped { // 3scale counts it now, not at its own timestamp
		moved := b.Transactions[i].Transaction
		moved.Timestamp = r.At.Unix()
		f.quota.Counted(laneOf(b), &moved)
		outcomes[i] = quota.Refused
	}
	for i := range r.Dead {
		outcomes[r.Dead[i].Index] = quota.Refused
	}
	f.quota.Settled(b.ID.String(), laneOf(b), func(yield func(*threescale.Transaction, quota.Outcome) bool) {
		for i := range outcomes {
			if !yield(&b.Transactions[i].Transaction, outcomes[i]) {
				return
			}
		}
	})
}
