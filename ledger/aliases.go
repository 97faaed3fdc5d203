package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

const (
	// maxAliases limits how many aliases wait to be stored. Further ones are left out, and found again when usage under them is booked.
	maxAliases = 100_000

	// mergeAliases and mergeSeeks limit what one transaction of the database stores: aliases, and searches for rows to merge. The
	// rows of one alias are merged in one transaction, at most two searches for each day that is kept.
	mergeAliases = 1000
	mergeSeeks   = 50_000
)

// bucketAliases contains which application a name of a user key stands for. It is made with the first alias: files without one can be
// read by older versions.
var bucketAliases = []byte("aliases")

// alias is a name of a user key in the ledger, of one service.
type alias struct{ service, name string }

func (a alias) compare(o alias) int {
	return cmp.Or(cmp.Compare(a.service, o.service), cmp.Compare(a.name, o.name))
}

// aliasKey identifies an alias by its numbers.
type aliasKey struct{ service, name uint32 }

func (k aliasKey) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, k.service), k.name)
}

// applicationOf returns the number of the application that a name stands for; 0: it is no known alias. Like find, it panics over damage.
func applicationOf(tx *bbolt.Tx, k aliasKey) uint32 {
	bucket := tx.Bucket(bucketAliases)
	if bucket == nil {
		return 0
	}
	key := k.bytes()
	plain, err := unseal(key, bucket.Get(key), true)
	if plain == nil && err == nil {
		return 0
	}
	if err != nil || len(plain) != 4 {
		panic("the checksum of an alias does not hold")
	}
	return binary.BigEndian.Uint32(plain)
}

// Learn tells the ledger the id of the application that a user key of a service belongs to, by the name that ApplicationName gives the
// user key. Run stores it within a second or two, and merges what was booked under the name with what was booked under the id: from
// then on, all figures and evidence of the application are under its id. It is not durable before; what is forgotten by a crash is
// resolved again when usage with the user key is booked (Options.Resolve). The first id of a name stays. It may be called
// concurrently, and never waits for the database.
func (l *Ledger) Learn(service, name, id string) {
	if id == "" || !IsUserKey(name) || IsUserKey(id) || len(id) > maxName || len(service) > maxName {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.aliases) >= maxAliases {
		return
	}
	if l.aliases == nil {
		l.aliases = make(map[alias]string)
	}
	l.aliases[alias{strings.Clone(service), name}] = strings.Clone(id) // they may be views into a batch or a request
	if l.wake != nil {
		l.wake()
	}
}

// waiting returns the aliases that are not stored yet, sorted, with their ids.
func (l *Ledger) waiting() (list []alias, ids map[alias]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.aliases) == 0 {
		return nil, nil
	}
	ids = maps.Clone(l.aliases)
	return slices.SortedFunc(maps.Keys(ids), alias.compare), ids
}

func (l *Ledger) hasWaiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.aliases) > 0
}

// ApplicationID returns the id of the application that a name of a user key stands for, or the name itself: if that is not known, if
// it is no name of a user key, or if the file cannot be read.
func (l *Ledger) ApplicationID(service, name string) string {
	if !IsUserKey(name) {
		return name
	}
	id := name
	err := l.answer(func(tx *bbolt.Tx) error {
		t := texts{tx: tx, known: make(map[uint32]string)}
		if number := findApplication(tx, find(tx, nameService, service), name); number != 0 {
			id = t.text(nameApplication, number)
		}
		return nil
	})
	if err != nil {
		return name
	}
	return id
}

// HasUserKey reports whether usage of an application of a service may have been reported with a user key: its name is one of a user
// key, or a name of a user key stands for it. It reads all aliases of the service.
func (l *Ledger) HasUserKey(service, app string) (found bool, err error) {
	if IsUserKey(app) {
		return true, nil
	}
	err = l.answer(func(tx *bbolt.Tx) error {
		bucket, number, wanted := tx.Bucket(bucketAliases), find(tx, nameService, service), find(tx, nameApplication, app)
		if bucket == nil || number == 0 || wanted == 0 {
			return nil
		}
		c := bucket.Cursor()
		for k, _ := c.Seek(aliasKey{service: number}.bytes()); len(k) == 8 && binary.BigEndian.Uint32(k) == number && !found; k, _ = c.Next() {
			found = applicationOf(tx, aliasKey{number, binary.BigEndian.Uint32(k[4:])}) == wanted
		}
		return nil
	})
	return found, err
}

// findApplication returns the number of an application of a service, by any of its names; 0: none.
func findApplication(tx *bbolt.Tx, service uint32, name string) uint32 {
	number := find(tx, nameApplication, name)
	if number == 0 || !IsUserKey(name) {
		return number
	}
	return cmp.Or(applicationOf(tx, aliasKey{service, number}), number)
}

// resolve asks Options.Resolve about the user keys in what was gathered whose application is not known yet. It is called before the
// records are booked, so that all records of a batch are booked under the same name.
func (r *run) resolve() {
	if r.options.Resolve == nil {
		return
	}
	asked := make(map[alias]bool)
	for i := range r.gathered {
		batch := r.gathered[i].Batch
		for n := range batch.Transactions {
			app := batch.Transactions[n].Application
			if app.UserKey == "" {
				continue
			}
			a := alias{batch.Lane.ServiceID, ApplicationName(app)}
			if asked[a] || r.names.stored[a] {
				continue
			}
			asked[a] = true
			r.Learn(a.service, a.name, r.options.Resolve(batch.Lane, app))
		}
	}
}

// storeAliases stores the aliases that wait, and merges what was booked under them. While an answer is read in several transactions it
// does nothing: no row of an answer may be left out or come twice. Until an alias is stored, usage is booked under the name of its user key.
func (r *run) storeAliases(ctx context.Context) error {
	list, ids := r.waiting()
	if len(list) == 0 || !r.paging.TryLock() {
		return nil
	}
	defer r.paging.Unlock()
	r.moves.Add(1)
	for len(list) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		m := renaming{run: r}
		done := 0
		err := r.update(func(tx *bbolt.Tx) (err error) {
			done, err = m.some(ctx, tx, list, ids)
			return err
		})
		// The transaction is durable, or nothing of it is: a crash leaves each alias stored with all of its rows merged, or neither.
		if err != nil && !errors.Is(err, errNothingNew) {
			r.names.forget()
			return err
		}
		r.stored(list[:done], ids)
		list = list[done:]
	}
	return nil
}

// stored removes aliases from those that wait.
func (r *run) stored(list []alias, ids map[alias]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range list {
		if r.aliases[a] == ids[a] {
			delete(r.aliases, a)
		}
		r.names.keepAlias(a)
	}
}

// storeWaiting stores aliases while there is nothing to book.
func (r *run) storeWaiting(ctx context.Context) {
	if !r.hasWaiting() || r.readable() != nil {
		return
	}
	switch err := r.storeAliases(ctx); {
	case err == nil || ctx.Err() != nil:
	case damaged(err):
		r.suspect(err)
	default:
		r.logFailure(err)
	}
}
