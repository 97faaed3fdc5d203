package spool

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// Original is a message that was not a valid event, as it was received. Its letter counts 0 events, since none was accepted, and
// cannot be requeued: a corrected message has to be published again.
type Original struct {
	Subject     string `json:"subject"`
	ID          string `json:"id,omitempty"` // Nats-Msg-Id
	ContentType string `json:"content_type,omitempty"`
	Payload     string `json:"payload"`
	Base64      bool   `json:"base64,omitempty"` // the payload is not text, and is encoded
	Cut         int    `json:"cut,omitempty"`    // bytes missing at the end of the payload

	// Rejected says that the message was never acknowledged to its sender: an invalid plain publish. Its letter has a separate
	// quota (Options.RejectedBytes) and keeps only the beginning of the payload.
	Rejected bool `json:"rejected,omitempty"`
}

const (
	originalPrefix = "nats-"

	// maxOriginal is how much of a payload is kept, in bytes: escaped, it still fits into maxLetter.
	maxOriginal = 128 << 10
)

// Bury stores a message that can never be accepted as a dead letter, with the reason. It returns once the file is durable, or
// with an error when there is no space or the write failed; then nothing is stored. origin distinguishes messages, such as
// STREAM-42: the same payload with the same origin is the same letter.
func (s *Spool) Bury(origin, serviceID string, o Original, payload []byte, why Reason) (id string, err error) {
	prefix := originalPrefix
	if o.Rejected {
		prefix = rejectedPrefix
	}
	id = originalID(prefix, origin, payload)
	o.put(payload)
	now := time.Now().UTC().Truncate(time.Second)
	letter := letterFile{DeadLetter: DeadLetter{
		ServiceID: serviceID, ID: id, Usage: map[string]uint64{}, Reason: why, Original: &o, Timestamp: now, CreatedAt: now,
	}}
	if err := s.admitOriginal(o); err != nil {
		return "", err
	}
	if err = s.letters.put(id, letter); err == nil {
		err = s.letters.fs.SyncDir(filepath.Join(s.letters.root, lettersDir))
	}
	if err != nil {
		return "", fmt.Errorf("spool: dead letter %s: %w", id, err)
	}
	return id, nil
}

// admitOriginal returns nil when there is space for the letter of a message. A letter of a rejected message takes none of the
// quota, but has to leave MinFreeBytes free on the disk.
func (s *Spool) admitOriginal(o Original) error {
	need, reserve := 2*int64(len(o.Payload))+4096, s.batches.log.SegmentBytes
	if !o.Rejected {
		return s.quota.Admit(need, reserve)
	}
	if left := s.quota.DiskLeft(); left < need+reserve {
		return fmt.Errorf("spool: disk has %d bytes left above min_free_bytes of %d", left, s.quota.MinFree)
	}
	return s.letters.rejected.admit(need)
}

// originalID returns an id that is a valid file name for every origin.
func originalID(prefix, origin string, payload []byte) string {
	sum := sha256.Sum256(append([]byte(origin+"\x00"), payload...))
	plain := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, origin)
	return prefix + plain[:min(len(plain), 100)] + "-" + hex.EncodeToString(sum[:6])
}

// isOriginal reports, by its id, whether a letter is that of a message.
func isOriginal(id string) bool {
	return strings.HasPrefix(id, originalPrefix) && id == filepath.Base(id)
}

func (o *Original) put(payload []byte) {
	most := maxOriginal
	if o.Rejected {
		most = maxRejectedPayload
	}
	if len(payload) > most {
		o.Cut = len(payload) - most
		payload = payload[:most]
	}
	if o.Base64 = !utf8.Valid(payload); o.Base64 {
		o.Payload = base64.StdEncoding.EncodeToString(payload)
		return
	}
	o.Payload = string(payload)
}

var errOriginal = errors.New("a message that was not a valid event cannot be requeued: publish it again, corrected")
