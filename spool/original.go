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
	id = originalID(origin, payload)
	o.put(payload)
	now := time.Now().UTC().Truncate(time.Second)
	letter := letterFile{DeadLetter: DeadLetter{
		ServiceID: serviceID, ID: id, Usage: map[string]uint64{}, Reason: why, Original: &o, Timestamp: now, CreatedAt: now,
	}}
	if err := s.room.admit(2*int64(len(payload))+4096, s.batches.log.segmentBytes); err != nil {
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

// originalID is a file name, whatever the origin.
func originalID(origin string, payload []byte) string {
	sum := sha256.Sum256(append([]byte(origin+"\x00"), payload...))
	plain := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, origin)
	return originalPrefix + plain[:min(len(plain), 100)] + "-" + hex.EncodeToString(sum[:6])
}

// isOriginal reports whether a letter is that of a message, by its id.
func isOriginal(id string) bool {
	return strings.HasPrefix(id, originalPrefix) && id == filepath.Base(id)
}

func (o *Original) put(payload []byte) {
	if len(payload) > maxOriginal {
		o.Cut = len(payload) - maxOriginal
		payload = payload[:maxOriginal]
	}
	if o.Base64 = !utf8.Valid(payload); o.Base64 {
		o.Payload = base64.StdEncoding.EncodeToString(payload)
		return
	}
	o.Payload = string(payload)
}

var errOriginal = errors.New("a message that became no event: publish it again, put right")
