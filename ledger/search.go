package ledger

import (
	"cmp"
	"errors"

	"go.etcd.io/bbolt"
)

// search is the state of a query.
type search struct {
	Query
	ledger   *Ledger
	tx       *bbolt.Tx
	texts    texts
	page     []Row                        // rows found in this transaction
	strict   bool                         // every value has a checksum
	scanned  int                          // rows of the database read in this transaction
	parents  map[uint32]map[uint32]uint32 // by service and method; numbers
	invented map[string]uint32
	sent     map[sentKey]int64
	sums     map[sum]Figures // if rows of several days or services are added up
	found    found           // of one row; reused
	metric   uint32
	totals   *totals // what rows are added to, in place of the page; nil: they are not
}

type sum struct {
	time                 int64
	service, app, metric uint32
}

func (a sum) compare(b sum) int {
	return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.app, b.app), cmp.Compare(a.metric, b.metric), cmp.Compare(a.time, b.time))
}

// figured is figures with their key.
type figured struct {
	sum
	Figures
}

// found contains the sums of one row. They are few, and in order except those of parents.
type found struct {
	all      []figured
	greatest sum
}

func (f *found) add(key sum, figures *Figures) {
	if len(f.all) == 0 || key.compare(f.greatest) > 0 {
		f.all, f.greatest = append(f.all, figured{key, *figures}), key
		return
	}
	for i := len(f.all) - 1; i >= 0; i-- {
		if f.all[i].sum == key {
			f.all[i].Figures.add(*figures)
			return
		}
	}
	f.all = append(f.all, figured{key, *figures})
}

// newSearch returns a search at its beginning.
func (l *Ledger) newSearch(q Query) *search {
	s := &search{Query: q, ledger: l, texts: texts{known: make(map[uint32]string)}, parents: make(map[uint32]map[uint32]uint32), invented: make(map[string]uint32)}
	if s.By == "" {
		s.By = ByHour
	}
	if s.most == 0 {
		s.most = pageRows
	}
	if s.summed() {
		s.sums = make(map[sum]Figures)
	}
	return s
}

// readPage reads the next rows into page, in one transaction, and reports whether there may be more. l.paging is held.
func (s *search) readPage(sent map[sentCell]int64) (more bool, err error) {
	s.page, s.scanned = s.page[:0], 0
	err = s.ledger.answer(func(tx *bbolt.Tx) error {
		s.tx, s.texts.tx, s.sent = tx, tx, numberSent(tx, sent)
		return s.run()
	})
	if errors.Is(err, errPause) {
		return true, nil
	}
	return false, err
}
