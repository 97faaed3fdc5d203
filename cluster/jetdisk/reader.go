package jetdisk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readerLife is how long the servers keep an inactive consumer.
const readerLife = 10 * time.Second

// readerHeartbeat is the interval at which an idle server sends heartbeats. A consumer exists on one server; after two missing
// heartbeats it is created again on another one. The default of nats.go takes half a minute.
const readerHeartbeat = time.Second

// readerBytes is how much the servers may send ahead: a server disconnects a client with 64 MiB of unread data, and a replica may
// take over all partitions at once. The servers send no message that is larger.
const readerBytes = 1 << 20

const (
	readerStall = 3 * time.Second  // without a message, after which reading begins again behind the last one
	readerWait  = 20 * time.Second // without a message, after which reading fails
)

// reader reads the messages of some subjects in the order of the stream.
type reader struct {
	disk     *Disk
	subjects []string
	last     uint64 // sequence number of the last message to read
	apply    func(subject string, seq uint64, body []byte) error

	next  uint64 // sequence number from which on messages are read; 0: from the first one on
	bytes int    // that the servers may send ahead
	done  bool
}

// readTo applies the messages of some subjects up to a sequence number, which is that of an existing one. If no message arrives for
// readerStall, it begins again with room for the largest message; after readerWait it fails. apply's errors end it.
func (d *Disk) readTo(ctx context.Context, subjects []string, last uint64, apply func(subject string, seq uint64, body []byte) error) error {
	r := &reader{disk: d, subjects: subjects, last: last, apply: apply, bytes: readerBytes}
	for progress := time.Now(); ; {
		from := r.next
		err := r.read(ctx)
		if r.done || err == nil {
			return err
		}
		if r.next != from {
			progress = time.Now()
		}
		if ctx.Err() != nil || time.Since(progress) >= readerWait {
			return errors.Join(err, ctx.Err())
		}
		r.bytes = max(readerBytes, int(d.o.JetStream.Conn().MaxPayload())+partHead)
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

// partHead is the most that a message has beside its body: subject and headers.
const partHead = 4 << 10

// read reads with one consumer, and returns when it has read everything, after an error of apply (done), or when no message arrives.
func (r *reader) read(ctx context.Context) error {
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: r.subjects, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: readerLife, MaxResetAttempts: 3,
	}
	if r.next > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.next
	}
	consumer, err := r.disk.o.JetStream.OrderedConsumer(ctx, r.disk.o.Stream, config)
	if err != nil {
		return err
	}
	defer func() { // otherwise the consumer stays for readerLife
		if info := consumer.CachedInfo(); info != nil {
			_ = r.disk.stream.DeleteConsumer(ctx, info.Name)
		}
	}()
	messages, err := consumer.Messages(jetstream.PullHeartbeat(readerHeartbeat), jetstream.PullMaxBytes(r.bytes))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for !r.done {
		m, err := messages.Next(jetstream.NextMaxWait(readerStall))
		if errors.Is(err, nats.ErrTimeout) {
			return fmt.Errorf("no message of %v arrived for %v", r.subjects, readerStall)
		}
		if err != nil {
			return err
		}
		if err := r.take(m); err != nil {
			return err
		}
	}
	return nil
}

// take applies one message.
func (r *reader) take(m jetstream.Msg) error {
	at, err := m.Metadata()
	if err != nil {
		return err
	}
	r.disk.o.Reading()
	r.next = at.Sequence.Stream + 1
	r.done = at.Sequence.Stream >= r.last
	if err := r.apply(m.Subject(), at.Sequence.Stream, m.Data()); err != nil {
		r.done = true
		return fmt.Errorf("message %d: %w", at.Sequence.Stream, err)
	}
	return nil
}
