package nats

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/event"
)

// attachment is the stream and the consumer that are being consumed. It is safe for concurrent use.
type attachment struct {
	consumer jetstream.Consumer
	created  time.Time     // when the server made the consumer
	ackWait  time.Duration // of the consumer
	id       uint64        // identifies the stream, see streamID
	floor    atomic.Uint64 // all messages up to this sequence were acknowledged
}

func newAttachment(stream *jetstream.StreamInfo, consumer jetstream.Consumer) *attachment {
	info := consumer.CachedInfo()
	a := &attachment{consumer: consumer, created: info.Created, ackWait: info.Config.AckWait, id: streamID(stream, info.Config)}
	a.floor.Store(info.AckFloor.Stream)
	return a
}

// streamID identifies a stream in event.Source: by its name, the moment of its creation, and the messages that the consumer
// selects from it. A stream that was deleted and created again begins with sequence 1 again, and is another one. The selection
// is part of it because a Source's Floor speaks for the selected messages only.
func streamID(stream *jetstream.StreamInfo, c jetstream.ConsumerConfig) uint64 {
	filters := append([]string{stream.Config.Name, stream.Created.UTC().Format(time.RFC3339Nano), c.FilterSubject}, c.FilterSubjects...)
	sum := sha256.Sum256([]byte(strings.Join(filters, "\x00")))
	return binary.LittleEndian.Uint64(sum[:])
}

// source is the place of a message in the stream.
func (a *attachment) source(sequence uint64) *event.Source {
	return &event.Source{Stream: a.id, Sequence: sequence, Floor: a.floor.Load()}
}

// check asks the server about the consumer, and notes which messages were acknowledged. The error is errReplaced when the
// consumer that was attached to is gone, also where another one has its name.
func (a *attachment) check(ctx context.Context) error {
	info, err := a.consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerDeleted):
		return fmt.Errorf("%w: %w", errReplaced, err)
	case err != nil:
		return err
	case !info.Created.Equal(a.created):
		return errReplaced
	}
	a.floor.Store(info.AckFloor.Stream)
	return nil
}

var errReplaced = errors.New("the consumer was deleted")
