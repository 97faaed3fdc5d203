package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/threescale"
)

// The kinds of names.
const (
	nameService     = 's'
	nameApplication = 'a'
	nameMetric      = 'm'
)

// userKeyPrefix begins the name of an application that is identified only by its key.
const userKeyPrefix = "user_key:"

// maxKnownNames limits the names in memory.
const maxKnownNames = 1 << 20

// ApplicationName returns the ledger's name of an application. Keys are secrets: only a hash is stored.
func ApplicationName(a threescale.Application) string {
	if a.UserKey == "" {
		return a.ID
	}
	sum := sha256.Sum256([]byte(a.UserKey))
	return userKeyPrefix + hex.EncodeToString(sum[:6])
}

// IsUserKey reports whether a name in the ledger stands for a user key.
func IsUserKey(name string) bool { return strings.HasPrefix(name, userKeyPrefix) }

// names assigns numbers to texts, in the database. It is for one goroutine. Its cache has a hash of each name and not the name: a
// million names take 40 MB without a pointer, which the garbage collector need not follow. At 128 bits, by seeds of this process,
// two names have the same hash in less than one of 10^26 processes.
type names struct {
	known map[nameHash]uint32
	seeds [2]maphash.Seed // of the hashes; as long as the cache

	applications map[aliasKey]uint32 // what names of user keys stand for; 0: not known
	stored       map[alias]bool      // aliases in the database
}

type nameHash [2]uint64

// hash returns the cache's key of a name.
func (n *names) hash(kind byte, text string) nameHash {
	first, second := maphash.String(n.seeds[0], text), maphash.String(n.seeds[1], text)
	return nameHash{first ^ uint64(kind), second}
}

// look returns the number of a name that is in the cache.
func (n *names) look(kind byte, text string) (number uint32, ok bool) {
	if n.known == nil {
		return 0, false
	}
	number, ok = n.known[n.hash(kind, text)]
	return number, ok
}

// number returns the number of a name, and assigns one if it has none. After a transaction that failed, call forget.
func (n *names) number(tx *bbolt.Tx, kind byte, text string) (uint32, error) {
	if number, ok := n.look(kind, text); ok {
		return number, nil
	}
	key := append([]byte{kind}, text...)
	texts, numbers := tx.Bucket(bucketNames), tx.Bucket(bucketNumbers)
	if number := find(tx, kind, text); number != 0 {
		return n.keep(kind, text, number), nil
	}
	next, err := numbers.NextSequence()
	if err != nil {
		return 0, err
	}
	number := binary.BigEndian.AppendUint32(nil, uint32(next))
	if err := texts.Put(key, number); err != nil {
		return 0, err
	}
	n.keep(kind, text, uint32(next))
	return uint32(next), numbers.Put(append([]byte{kind}, number...), []byte(text))
}

// keep adds a number to the cache.
func (n *names) keep(kind byte, text string, number uint32) uint32 {
	if len(n.known) >= maxKnownNames {
		n.forget()
	}
	if n.known == nil {
		n.known = make(map[nameHash]uint32)
		n.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	n.known[n.hash(kind, text)] = number
	return number
}

// application returns the number of the application that a name of a user key stands for; the name's own number, if that is not known.
func (n *names) application(tx *bbolt.Tx, k aliasKey) uint32 {
	app, known := n.applications[k]
	if !known {
		app = applicationOf(tx, k)
		n.keepApplication(k, app)
	}
	return cmp.Or(app, k.name)
}

func (n *names) keepApplication(k aliasKey, app uint32) {
	if len(n.applications) >= maxKnownNames || n.applications == nil {
		n.applications = make(map[aliasKey]uint32)
	}
	n.applications[k] = app
}

// keepAlias remembers that an alias is in the database.
func (n *names) keepAlias(a alias) {
	if len(n.stored) >= maxKnownNames || n.stored == nil {
		n.stored = make(map[alias]bool)
	}
	n.stored[a] = true
}

// forget empties the caches.
func (n *names) forget() { *n = names{} }

// find returns the number of a name; 0: none.
func find(tx *bbolt.Tx, kind byte, text string) uint32 { return finderIn(tx).find(kind, text) }

// finder finds numbers of names in one transaction that does not change them meanwhile.
type finder struct {
	texts, numbers *bbolt.Cursor
	key            []byte // of the name that is looked for; reused
}

func finderIn(tx *bbolt.Tx) *finder {
	return &finder{texts: tx.Bucket(bucketNames).Cursor(), numbers: tx.Bucket(bucketNumbers).Cursor()}
}

// find returns the number of a name; 0: none. Names and numbers contain the same pairs, in place of a checksum: if they differ,
// find panics, as bbolt does over a damaged page, and guarded turns that into an error.
func (f *finder) find(kind byte, text string) uint32 {
	f.key = append(append(f.key[:0], kind), text...)
	key, found := f.texts.Seek(f.key)
	if !bytes.Equal(key, f.key) {
		return 0
	}
	f.key = append(append(f.key[:0], kind), found...)
	if key, name := f.numbers.Seek(f.key); len(found) != 4 || !bytes.Equal(key, f.key) || string(name) != text {
		panic("a name and its number do not agree")
	}
	return binary.BigEndian.Uint32(found)
}

// texts caches the names by number that were looked up in one transaction.
type texts struct {
	tx    *bbolt.Tx
	known map[uint32]string
	names names // only what names of user keys stand for
}

// application returns the number of the application of a service that a number stands for.
func (t *texts) application(service, number uint32) uint32 {
	if !IsUserKey(t.text(nameApplication, number)) {
		return number
	}
	return t.names.application(t.tx, aliasKey{service, number})
}

// text returns a name by its number. Like find, it panics if names and numbers differ.
func (t *texts) text(kind byte, number uint32) string {
	if text, ok := t.known[number]; ok { // numbers are unique over all kinds
		return text
	}
	key := binary.BigEndian.AppendUint32([]byte{kind}, number)
	found := t.tx.Bucket(bucketNumbers).Get(key)
	text := string(found)
	if found == nil || !bytes.Equal(t.tx.Bucket(bucketNames).Get(append([]byte{kind}, found...)), key[1:]) {
		panic("a number and its name do not agree")
	}
	t.known[number] = text
	return text
}
