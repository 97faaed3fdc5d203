package jetdisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The stream's error codes that are distinguished.
const (
	codeWrongLastSequence     = 10071
	codeWrongLastSequenceSame = 10164 // the same, while another message to the subject is being processed
	codeInsufficientResources = 10023
)

// attemptTimeout is how long one attempt to publish may take, retryPause the pause after it.
const (
	attemptTimeout = 2 * time.Second
	retryPause     = 50 * time.Millisecond
)

// anyLast stands for every last message of a subject.
const anyLast = ^uint64(0)

// publish appends a message to a subject whose last message is known, and returns its sequence number once the stream has stored
// it. A message whose acknowledgement was lost is recognized by its id. If the servers do not answer for Patience, publish
// returns an error, and the message may have been stored.
func (d *Disk) publish(subject string, last uint64, data []byte) (uint64, error) {
	id := d.ownerID + "-" + strconv.FormatUint(d.counter.Add(1), 36)
	var failure error
	for begun := time.Now(); time.Since(begun) < d.o.Patience && d.ctx.Err() == nil; {
		seq, done, err := d.attempt(subject, id, last, data)
		if done {
			return seq, err
		}
		failure = err
		select {
		case <-time.After(retryPause):
		case <-d.ctx.Done():
		}
	}
	if d.ctx.Err() != nil {
		failure = errors.Join(failure, d.ctx.Err())
	}
	return 0, errno(fmt.Errorf("jetdisk: publish to %s: %w", subject, failure))
}

// attempt publishes once. done is true when the message is stored, or never will be.
func (d *Disk) attempt(subject, id string, last uint64, data []byte) (seq uint64, done bool, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, attemptTimeout)
	defer cancel()
	options := []jetstream.PublishOpt{jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0)}
	if last != anyLast {
		options = append(options, jetstream.WithExpectLastSequencePerSubject(last))
	}
	ack, err := d.o.JetStream.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, options...)
	if err == nil {
		return ack.Sequence, true, nil
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return 0, false, err
	}
	if api.ErrorCode != codeWrongLastSequence && api.ErrorCode != codeWrongLastSequenceSame {
		full := errno(err)
		return 0, api.ErrorCode != codeInsufficientResources && api.Code != 503, full
	}
	found, lookErr := d.stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case lookErr != nil && !errors.Is(lookErr, jetstream.ErrMsgNotFound):
		return 0, false, errors.Join(err, lookErr)
	case lookErr == nil && found.Header.Get(nats.MsgIdHdr) == id:
		return found.Sequence, true, nil
	case lookErr == nil && found.Sequence == last, lookErr != nil && last == 0:
		return 0, false, err // our message is being processed
	}
	return 0, true, fmt.Errorf("jetdisk: %s: %w", subject, ErrFenced)
}

// The changes of the directory.
const (
	opEpoch    = "epoch" // a new owner
	opCreate   = "create"
	opRename   = "rename"
	opRemove   = "remove"
	opSnapshot = "snapshot"
)

// record is one message of the directory. The sequence number of a create is the file's id.
type record struct {
	Op    string            `json:"op"`
	Name  string            `json:"name,omitempty"`
	To    string            `json:"to,omitempty"`
	Files map[string]uint64 `json:"files,omitempty"` // of a snapshot: ids by name
}

// recordsKept is how many messages the directory may have before a snapshot replaces them.
const recordsKept = 512

// recordLocked appends to the directory, and returns the message's sequence number.
func (d *Disk) recordLocked(r record) (uint64, error) {
	if d.records > recordsKept && r.Op != opSnapshot {
		d.compactLocked()
	}
	if d.dead != nil {
		return 0, d.dead
	}
	data, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	seq, err := d.publish(d.directory(), d.last, data)
	if err != nil {
		d.dead = err // the state of the directory is unknown now
		return 0, err
	}
	d.last = seq
	d.records++
	return seq, nil
}

// compactLocked writes the directory as one message, and removes the older ones. Every record has to be applied to names.
func (d *Disk) compactLocked() {
	d.records = 0
	files := make(map[string]uint64, len(d.names))
	for name, n := range d.names {
		files[name] = n.id
	}
	if seq, err := d.recordLocked(record{Op: opSnapshot, Files: files}); err == nil { // otherwise dead is set
		go d.purge(d.directory(), seq) // ends with Close at the latest
	}
}

// discardLocked removes the messages of a file without a name.
func (d *Disk) discardLocked(n *node) {
	if n == nil {
		return
	}
	subject := n.subject(d)
	go d.purge(subject, 0) // ends with Close at the latest; the next owner removes the rest
}

// purge removes the messages of a subject below a sequence number, or all of them if it is 0.
func (d *Disk) purge(subject string, below uint64) {
	ctx, cancel := context.WithTimeout(d.ctx, d.o.Patience)
	defer cancel()
	options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(subject)}
	if below > 0 {
		options = append(options, jetstream.WithPurgeSequence(below))
	}
	_ = d.stream.Purge(ctx, options...)
}
