package spool

import "crypto/sha256"

// mark stands for an event's id: 16 bytes of SHA-256 over service id, a zero byte, and id.
type idHash [16]byte

// newMark hashes an id. scratch is reused and returned.
func newMark(scratch []byte, serviceID, id string) (idHash, []byte) {
	scratch = append(append(append(scratch[:0], serviceID...), 0), id...)
	sum := sha256.Sum256(scratch)
	return idHash(sum[:16]), scratch
}

// idMark is a mark at its place in a group.
type idMark struct {
	mark  idHash
	event uint32 // index in the group
}
