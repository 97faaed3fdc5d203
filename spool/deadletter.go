package spool

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// DeadLetter is a transaction that the backend will never accept, in the form of its file deadletters/<id>.json. In a Resolution
// only Index, Reason and Answer are read.
type DeadLetter struct {
	ID           string            `json:"id"` // its batch's id and its index there: the same after a crash
	ServiceID    string            `json:"service_id"`
	AppID        string            `json:"app_id,omitempty"`
	UserKey      string            `json:"user_key,omitempty"`
	Usage        map[string]uint64 `json:"usage"`
	Events       uint64            `json:"events"`
	Timestamp    time.Time         `json:"timestamp"`
	ResponseCode int               `json:"response_code,omitempty"`
	FlatUsage    bool              `json:"flat_usage,omitempty"`
	Reason       Reason            `json:"reason"`
	Answer       Answer            `json:"answer"`
	Attempts     int               `json:"attempts"`
	CreatedAt    time.Time         `json:"created_at"`
	Original     *Original         `json:"original,omitempty"` // instead of usage: a message that was never an event

	Index int `json:"-"` // of the transaction in its batch
}

// Reason says why, in the backend's words if it gave a reason.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Answer is the backend's answer to the report that contained the transaction.
type Answer struct {
	Status int    `json:"status"` // 0: none, it was never sent
	Code   string `json:"code,omitempty"`
}

// letterFile is the content of the file. It includes the credentials of a 3scale call for a service that is not configured, since
// the letter could not be sent again without them. They are never shown outside the file.
type letterFile struct {
	DeadLetter
	ServiceToken string `json:"service_token,omitempty"`
	ProviderKey  string `json:"provider_key,omitempty"`
}

// newLetter fills in the fields that come from the batch.
func newLetter(b *Batch, info BatchInfo, id string, d DeadLetter) letterFile {
	t := &b.Transactions[d.Index]
	d.ID, d.ServiceID = id, b.Lane.ServiceID
	d.AppID, d.UserKey = t.Application.ID, t.Application.UserKey
	d.Usage = usageMap(t.Usage)
	d.Events, d.ResponseCode, d.FlatUsage = uint64(t.Events), t.Code, b.FlatUsage
	d.Timestamp = time.Unix(t.Timestamp, 0).UTC()
	d.Attempts = info.Attempts
	d.CreatedAt = time.Now().UTC().Truncate(time.Second)
	c := b.Lane.Credentials
	return letterFile{DeadLetter: d, ServiceToken: c.ServiceToken, ProviderKey: c.ProviderKey}
}

func usageMap(usage threescale.Usage) map[string]uint64 {
	m := make(map[string]uint64, len(usage))
	for _, u := range usage {
		m[u.Metric] += u.Value
	}
	return m
}

// DeadLetterQuery selects dead letters. Zero fields select all.
type DeadLetterQuery struct {
	ServiceID string
	Reason    string    // code
	Since     time.Time // made at or after
	Until     time.Time // made at or before
	Limit     int       // 0: 100; at most 1000
	Cursor    string    // the last page's next
}

// matches reports whether a letter is selected.
func (q DeadLetterQuery) matches(d *DeadLetter) bool {
	return (q.ServiceID == "" || q.ServiceID == d.ServiceID) && (q.Reason == "" || q.Reason == d.Reason.Code) && q.contains(d.CreatedAt)
}

// contains reports whether letters that were made at a time are selected.
func (q DeadLetterQuery) contains(at time.Time) bool {
	return !at.Before(q.Since) && (q.Until.IsZero() || !at.After(q.Until))
}

// ErrUnknownLetter is returned for a dead letter that does not exist: requeued, dropped, or never written.
var ErrUnknownLetter = errors.New("no such dead letter")

// Redacted returns the letter without secrets: its user key, also where a message repeats it, and the payload of a message, whose
// content is unknown.
func (d DeadLetter) Redacted() DeadLetter {
	if d.Original != nil {
		o := *d.Original
		o.Payload, o.Base64 = redacted, false
		d.Original = &o
	}
	if d.UserKey != "" {
		d.Reason.Message = strings.ReplaceAll(d.Reason.Message, d.UserKey, redacted)
		d.UserKey = redacted
	}
	return d
}

const redacted = "[redacted]"

// DeadLetter reads one dead letter. If it does not exist, the error is ErrUnknownLetter.
func (s *Spool) DeadLetter(id string) (DeadLetter, error) {
	f, err := s.letters.get(id)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("spool: dead letter %s: %w", id, err)
	}
	return f.DeadLetter, nil
}

// DeadLetters returns a page of dead letters in the order of their ids, and the cursor of the next page, empty at the end. It
// reads the files of the page, one at a time, and once those of which it does not know yet whether they are selected. Files that are
// not readable dead letters are skipped, as are those that another process put into the directory after the start.
func (s *Spool) DeadLetters(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	return s.letters.page(q)
}
