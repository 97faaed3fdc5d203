package ledger

import (
	"net/http"
	"time"

	"go.etcd.io/bbolt"
)

// Book answers for usage: a Ledger, or the ledgers of all partitions as one (Joint). Its methods may be called concurrently.
type Book interface {
	http.Handler // of GET /api/v1/ledger

	// Rows calls each with the rows of the answer; it ends early with each's error.
	Rows(q Query, each func(*Row) error) error
	// Top returns the applications with the most usage; see Ledger.Top.
	Top(q TopQuery) ([]Total, error)
	// Batches calls each with the evidence of batches of a service (empty: all) sealed since a time, oldest first within a partition.
	Batches(service string, since time.Time, each func(*BatchRecord) error) error
	// Services and Applications return the names with figures since a day, sorted.
	Services(since time.Time) ([]string, error)
	Applications(service string, since time.Time) ([]string, error)
	// ApplicationIDs returns, for each name of an application, the id of the application that it stands for; see Ledger.ApplicationID.
	ApplicationIDs(service string, names []string) ([]string, error)
	// Parents returns the parent of each method of a service, as far as it is known.
	Parents(service string) (map[string]string, error)
	// Reach returns how far back the figures go, and what is missing from them.
	Reach() (Reach, error)
}

var (
	_ Book = (*Ledger)(nil)
	_ Book = (*Joint)(nil)
)

// Reach says what the figures contain.
type Reach struct {
	Earliest time.Time `json:"earliest"` // the first day; zero: none
	Missed   bool      `json:"missed"`   // some usage could not be booked: the figures are too low
	Receipts bool      `json:"receipts"` // a service has receipts
}

// Reach returns what the figures contain. Its error is nil.
func (l *Ledger) Reach() (Reach, error) {
	s := l.Stats()
	return Reach{Earliest: s.Earliest, Missed: s.Missed, Receipts: l.options.Sent != nil}, nil
}

// ApplicationIDs returns, for each name, what ApplicationID does, read in one transaction.
func (l *Ledger) ApplicationIDs(service string, names []string) ([]string, error) {
	ids := append([]string(nil), names...)
	err := l.answer(func(tx *bbolt.Tx) error {
		t := texts{tx: tx, known: make(map[uint32]string)}
		number := find(tx, nameService, service)
		for i, name := range names {
			if !IsUserKey(name) {
				continue
			}
			if app := findApplication(tx, number, name); app != 0 {
				ids[i] = t.text(nameApplication, app)
			}
		}
		return nil
	})
	return ids, err
}

// Parents returns the parent of each method of a service, as far as it is known. Its error is nil.
func (l *Ledger) Parents(service string) (map[string]string, error) {
	if l.options.Parents == nil {
		return nil, nil
	}
	return l.options.Parents(service), nil
}
