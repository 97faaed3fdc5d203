package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/threescale"
)

// What names stand for.
const (
	nameService     = 's'
	nameApplication = 'a'
	nameMetric      = 'm'
)

// userKeyPrefix begins the name of an application that is only known by its key.
const userKeyPrefix = "user_key:"

// maxKnownNames bounds the names that are kept in memory.
const maxKnownNames = 1 << 20

// ApplicationName is what the ledger calls an application. Keys are secrets: only a hash is shown.
func ApplicationName(a threescale.Application) string {
	if a.UserKey == "" {
		return a.ID
	}
	sum := sha256.Sum256([]byte(a.UserKey))
	return userKeyPrefix + hex.EncodeToString(sum[:6])
}

// names gives texts numbers, in the database. It is for one goroutine.
type names struct {
	known map[string]uint32 // kind and text
}

// number returns the number of a name, and gives it one if it has none. A transaction that does not become durable
// must be followed by forget.
func (n *names) number(tx *bbolt.Tx, kind byte, text string) (uint32, error) {
	key := string(kind) + text
	if number, ok := n.known[key]; ok {
		return number, nil
	}
	if len(n.known) >= maxKnownNames {
		n.forget()
	}
	texts, numbers := tx.Bucket(bucketNames), tx.Bucket(bucketNumbers)
	if found := texts.Get([]byte(key)); found != nil {
		n.known[key] = binary.BigEndian.Uint32(found)
		return n.known[key], nil
	}
	next, err := numbers.NextSequence()
	if err != nil {
		return 0, err
	}
	number := binary.BigEndian.AppendUint32(nil, uint32(next))
	if err := texts.Put([]byte(key), number); err != nil {
		return 0, err
	}
	n.known[key] = uint32(next)
	return uint32(next), numbers.Put(append([]byte{kind}, number...), []byte(text))
}

func (n *names) forget() { n.known = make(map[string]uint32) }

// find returns the number of a name; 0: it has none.
func find(tx *bbolt.Tx, kind byte, text string) uint32 {
	found := tx.Bucket(bucketNames).Get(append([]byte{kind}, text...))
	if found == nil {
		return 0
	}
	return binary.BigEndian.Uint32(found)
}

// texts are names by their numbers, as far as they were asked for in one transaction.
type texts struct {
	tx    *bbolt.Tx
	known map[uint32]string
}

func (t *texts) text(kind byte, number uint32) string {
	if text, ok := t.known[number]; ok { // numbers are of all kinds together
		return text
	}
	text := string(t.tx.Bucket(bucketNumbers).Get(binary.BigEndian.AppendUint32([]byte{kind}, number)))
	if text == "" {
		text = fmt.Sprintf("(%c%d)", kind, number)
	}
	t.known[number] = text
	return text
}
