package spool

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// The default limits of dead letters of rejected messages.
const (
	defaultRejectedBytes   = 64 << 20
	defaultRejectedLetters = 10_000

	// rejectedPart is the fraction (1/16) of Options.MaxBytes that these letters may take at most.
	rejectedPart = 16

	// maxRejectedPayload is how much of a rejected message is kept, in bytes.
	maxRejectedPayload = 8 << 10
)

// rejectedPrefix begins the ids of letters of messages that were never acknowledged to their senders.
const rejectedPrefix = originalPrefix + "rejected-"

// rejectedQuota is the quota of dead letters of rejected messages. It is separate from the quota of the spool, so that a producer
// of invalid messages takes no space from events.
type rejectedQuota struct {
	maxBytes   int64
	maxLetters int64

	bytes, letters atomic.Int64
}

func newRejectedQuota(o Options) *rejectedQuota {
	s := &rejectedQuota{maxBytes: o.RejectedBytes, maxLetters: int64(o.RejectedLetters)}
	if s.maxBytes == 0 {
		s.maxBytes = defaultRejectedBytes
	}
	if s.maxLetters == 0 {
		s.maxLetters = defaultRejectedLetters
	}
	if o.MaxBytes > 0 {
		s.maxBytes = min(s.maxBytes, o.MaxBytes/rejectedPart)
	}
	return s
}

// admit returns nil when one more letter of need bytes fits.
func (s *rejectedQuota) admit(need int64) error {
	letters, bytes := s.letters.Load(), s.bytes.Load()
	if letters >= s.maxLetters || bytes+need > s.maxBytes {
		return fmt.Errorf("spool: %d dead letters of rejected messages take %d bytes: the limits are %d letters and %d bytes", letters, bytes, s.maxLetters, s.maxBytes)
	}
	return nil
}

// fileBlock is the unit in bytes in which file systems give space to files.
const fileBlock = 4096

// diskBytes returns how much of a disk a file takes, at least.
func diskBytes(size int64) int64 { return (size + fileBlock - 1) / fileBlock * fileBlock }

// charge counts a new letter's file in its quota, with the blocks that it takes.
func (l *letters) charge(id string, size int64) {
	size = diskBytes(size)
	l.count.Add(1)
	if !strings.HasPrefix(id, rejectedPrefix) {
		l.quota.Take(size)
		return
	}
	l.rejected.letters.Add(1)
	l.rejected.bytes.Add(size)
}

// refund reverses charge.
func (l *letters) refund(id string, size int64) {
	size = diskBytes(size)
	l.count.Add(-1)
	if !strings.HasPrefix(id, rejectedPrefix) {
		l.quota.Free(size)
		return
	}
	l.rejected.letters.Add(-1)
	l.rejected.bytes.Add(-size)
}
