package nats_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/spool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unanswered is a journal on a disk whose first appends are durable, and yet reported as failed: the messages are delivered again.
type unanswered struct {
	*spool.Spool
	failures chan time.Duration // one element for each; when the message is to be delivered again
}

func (u *unanswered) Append(ctx context.Context, events []event.Event) (int, error) {
	duplicates, err := u.Spool.Append(ctx, events)
	select {
	case again := <-u.failures:
		return 0, &event.Refused{RetryAfter: again, Err: full}
	default:
		return duplicates, err
	}
}

// onDisk opens a bridge to a stream over a spool that remembers ids for a second.
func (r *rig) onDisk(stream string, failures int) *unanswered {
	s, _, err := spool.Open(spool.Options{Dir: r.t.TempDir(), DedupeWindow: time.Second})
	require.NoError(r.t, err)
	u := &unanswered{s, make(chan time.Duration, failures)}
	for range failures {
		u.failures <- 4 * time.Second
	}
	h := ingest.NewHandler(ingest.Options{Services: []ingest.Service{{ID: "1001"}}, Journal: u, MaxEvents: 100})
	b, err := ingestnats.Open(ingestnats.Options{
		URL: "nats://" + r.server.Address(), Subject: "usage.>", Stream: stream, Durable: "reporterd", Handler: h, DeadLetters: r.keep,
	})
	require.NoError(r.t, err)
	r.Bridge = b
	r.t.Cleanup(func() {
		r.stop(b)
		require.NoError(r.t, s.Close())
	})
	r.eventually("connected", func() bool { return b.Health() == nil })
	return u
}

// A message that is delivered again after dedupe.window is over counts once, with an id or without.
func TestRedeliveryAfterTheWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.stop(r.Bridge)
	js := r.jet()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(t, err)
	for i := range 20 {
		var o []jetstream.PublishOpt
		if i%2 == 0 {
			o = append(o, jetstream.WithMsgID(fmt.Sprint(i)))
		}
		_, err := js.Publish(t.Context(), "usage.1001", []byte("["+one+","+one+"]"), o...)
		require.NoError(t, err)
	}
	u := r.onDisk("USAGE", 2)
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.NotZero(t, r.Stats().Stream.Redelivered)
	assert.EqualValues(t, 40, u.Counts().Accepted)
	r.eventually("and counted", func() bool { return r.Stats().Stream.Acknowledged == 20 }) // behind the server's answer
}

// A message that is taken in parts is taken once, wherever its delivery ended.
func TestRedeliveryOfAMessageInParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.stop(r.Bridge)
	js := r.jet()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "usage.1001", []byte(list(550)))
	require.NoError(t, err)
	u := r.onDisk("USAGE", 3)
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.EqualValues(t, 550, u.Counts().Accepted)
}

// The server comes back without the stream: it is made anew and consumed, and its first message, which has the sequence number of
// one that was taken, is another one.
func TestStreamGoneWhileTheServerWasAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	_, err := r.jet().Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	r.eventually("the first is done", func() bool { return r.left("USAGE") == 0 })
	address := r.server.Address()
	stopServer(t, r.server)
	r.server = serverAt(t, t.TempDir(), address)
	r.eventually("the stream is there again", func() bool { return r.client.IsConnected() && r.left("USAGE") == 0 && r.Health() == nil })
	_, err = r.jet().Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	r.eventually("the second is done", func() bool { return r.count() == 2 && r.left("USAGE") == 0 })
}

// A consumer that is deleted while it is used is made anew.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	js := r.jet()
	require.NoError(t, js.DeleteConsumer(t.Context(), "USAGE", "reporterd"))
	_, err := js.Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	r.eventually("it is taken", func() bool { return r.count() == 1 && r.left("USAGE") == 0 })
	assert.NoError(t, r.Health())
}
