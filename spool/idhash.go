package spool

import "crypto/sha256"

// idHash stands for an event's id: 16 bytes of SHA-256 over service id, a zero byte, and id.
type idHash [16]byte

// newIDHash hashes an id. scratch is reused and returned.
func newIDHash(scratch []byte, serviceID, id string) (idHash, []byte) {
	scratch = append(append(append(scratch[:0], serviceID...), 0), id...)
	sum := sha256.Sum256(scratch)
	return idHash(sum[:16]), scratch
}

// groupID is the hash of an id at its place in a group.
type groupID struct {
	hash  idHash
	event uint32 // index in the group
}
