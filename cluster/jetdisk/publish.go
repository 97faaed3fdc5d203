package jetdisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The stream's error codes that are distinguished.
const (
	codeWrongLastSequence     = 10071
	codeWrongLastSequenceSame = 10164 // the same, while another message to the subject is being processed
	codeSameID                = 10158 // a message with this id is being processed: an earlier attempt
	codeInsufficientResources = 10023
	codeInsufficientStorage   = 10047
)

// firstAttempt is how long the first attempt to publish or to read may take, laterAttempt each of the next ones, whose answer may come
// late because the servers are slow; retryPause is the pause between two.
const (
	firstAttempt = 2 * time.Second
	laterAttempt = 4 * time.Second
	retryPause   = 50 * time.Millisecond
)

// anyLast stands for every last message of a subject.
const anyLast = ^uint64(0)

// publish appends a message to a subject whose last message is known, and returns its sequence number once the stream has stored
// it. A message whose acknowledgement was lost is recognized by its id. If the servers do not answer for Patience, publish
// returns an error, and the message may have been stored.
func (d *Disk) publish(subject string, last uint64, data []byte) (seq uint64, err error) {
	id := d.ownerID + "-" + strconv.FormatUint(d.counter.Add(1), 36)
	err = d.retry(func(ctx context.Context) (final bool, err error) {
		seq, final, err = d.attempt(ctx, subject, id, last, data)
		return final, err
	})
	if err != nil && !errors.Is(err, ErrFenced) {
		err = errno(fmt.Errorf("jetdisk: publish to %s: %w", subject, err))
	}
	return seq, err
}

// retry repeats an attempt until it succeeds, or its failure is final, or Patience has passed, or the disk is closed.
func (d *Disk) retry(attempt func(ctx context.Context) (final bool, err error)) error {
	deadline := time.Now().Add(d.o.Patience)
	for most := firstAttempt; ; most = laterAttempt {
		ctx, cancel := context.WithTimeout(d.ctx, min(most, time.Until(deadline)))
		final, err := attempt(ctx)
		cancel()
		if final || err == nil {
			return err
		}
		pause := min(retryPause, time.Until(deadline))
		if pause <= 0 {
			return fmt.Errorf("not within %v: %w", d.o.Patience, err)
		}
		select {
		case <-time.After(pause):
		case <-d.ctx.Done():
			return errors.Join(err, d.ctx.Err())
		}
	}
}

// attempt publishes once. final is true when the message is stored, or never will be.
func (d *Disk) attempt(ctx context.Context, subject, id string, last uint64, data []byte) (seq uint64, final bool, err error) {
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
		refused := api.Code >= 400 && api.Code < 500 && api.Code != http.StatusTooManyRequests && api.ErrorCode != codeSameID
		return 0, refused, err
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

// recordsKept is how many changes the directory may have before a snapshot replaces them, or an eighth of the files, if those are
// more: so a change costs the same however many files there are.
const recordsKept = 512

// recordLocked appends to the directory, and returns the message's sequence number.
func (d *Disk) recordLocked(r record) (uint64, error) {
	if d.records > max(recordsKept, len(d.names)/8) {
		d.compactLocked()
	}
	data, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	d.records++
	return d.appendLocked(data)
}

// appendLocked appends a message to the directory, and returns its sequence number.
func (d *Disk) appendLocked(data []byte) (uint64, error) {
	if d.dead != nil {
		return 0, d.dead
	}
	seq, err := d.publish(d.directory(), d.last, data)
	if err != nil {
		d.dead = err // the state of the directory is unknown now
		return 0, err
	}
	d.last = seq
	return seq, nil
}

// compactLocked writes the directory anew, in as many messages as it needs, and removes the older ones. It seals the files that can be.
// Every change has to be applied to names.
func (d *Disk) compactLocked() {
	d.records = 0
	var sealed []*node
	for _, n := range d.names {
		if !n.isSealed() && n.trySeal() != nil {
			sealed = append(sealed, n)
		}
	}
	defer func() {
		for _, n := range sealed {
			n.syncing.Unlock()
		}
	}()
	first := uint64(0)
	for _, part := range snapshotParts(d.names, d.o.Message) {
		seq, err := d.appendLocked(part)
		if err != nil { // dead is set
			return
		}
		if first == 0 {
			first = seq
		}
	}
	go d.purgeDirectory(d.oldest, first) // ends with Close at the latest
	d.oldest = first
}

// purgeSteps is in how many parts the changes before a snapshot are removed, each of leastPurge sequence numbers at least: the servers
// answer nothing else while they remove messages.
const (
	purgeSteps = 100
	leastPurge = 10_000
)

// purgeDirectory removes the changes of the directory below a sequence number. What it does not remove stays until the next owner's first snapshot.
func (d *Disk) purgeDirectory(oldest, below uint64) {
	step := max(leastPurge, (below-oldest)/purgeSteps)
	for oldest < below && d.ctx.Err() == nil {
		oldest = min(below, oldest+step)
		d.purge(d.directory(), oldest)
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
