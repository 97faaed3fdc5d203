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

// Original is a message that became no event, as it came. Its letter stands for 0 events, none of which was
// ever accepted, and cannot be requeued: put right, it is published again.
type Original struct {
	Subject     string `json:"subject"`
	ID          string `json:"id,omitempty"` // Nats-Msg-Id
	ContentType string `json:"content_type,omitempty"`
	Payload     string `json:"payload"`
	Base64      bool   `json:"base64,omitempty"` // the payload is no text, and is encoded
	Cut         int    `json:"cut,omitempty"`    // bytes of the payload that are missing at its end

	// Rejected says that the message was never acknowledged to its sender: a bad plain publish. Its letter has a quota
	// of its own (Options.RejectedBytes) and keeps the beginning of the payload only.
	Rejected bool `json:"rejected,omitempty"`
}

const (
	originalPrefix = "nats-"

	// maxOriginal is how much of a payload is kept, in bytes: escaped, it still fits into maxLetter.
	maxOriginal = 128 << 10
)

// Bury keeps a message that can never be taken as a dead letter, with its reason. It returns once the file is
// durable, or with an error when there is no room or no way; then nothing is kept. origin tells messages
// apart, such as STREAM-42: the same message with the same origin is the same letter.
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

// admitOriginal returns nil when there is room for the letter of a message. A letter of a rejected one takes none of
// the quota, and has to leave the watermark of the disk.
func (s *Spool) admitOriginal(o Original) error {
	need, reserve := 2*int64(len(o.Payload))+4096, s.batches.log.SegmentBytes
	if !o.Rejected {
		return s.quota.Admit(need, reserve)
	}
	if left := s.quota.DiskLeft(); left < need+reserve {
		return fmt.Errorf("spool: disk has %d bytes left above the watermark of %d", left, s.quota.MinFree)
	}
	return s.letters.rejected.admit(need)
}

// originalID is a file name, whatever the origin.
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

// isOriginal reports whether a letter is that of a message, by its id.
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

var errOriginal = errors.New("a message that became no event: publish it again, put right")
