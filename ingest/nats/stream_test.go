package nats_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func discard() *ingest.Handler { return ingest.NewHandler(ingest.Options{Journal: &memory{}}) }

// jet is the publisher's JetStream.
func (r *rig) jet() jetstream.JetStream {
	js, err := jetstream.New(r.client)
	require.NoError(r.t, err)
	return js
}

// left is how many messages the stream still has for us, delivered or not.
func (r *rig) left(stream string) uint64 {
	s, err := r.jet().Stream(r.t.Context(), stream)
	if err != nil {
		return 1 << 60
	}
	return s.CachedInfo().State.Msgs
}

func TestStream(t *testing.T) {
	r := newRig(t, "USAGE")
	js := r.jet()
	for i := range 100 {
		_, err := js.Publish(t.Context(), "usage.1001", []byte(one), jetstream.WithMsgID(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	r.eventually("all are acknowledged, and gone", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 100, r.count())
	r.eventually("confirmed", func() bool { return r.Stats().Stream.Acknowledged == 100 })
}

// What can never be taken is kept and ended, and the stream goes on.
func TestPoison(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	js := r.jet()
	for i := range 30 {
		body := one
		if i%3 == 0 {
			body = `{"app_id":"app1","usage":{"hits":"poison"}}`
		}
		_, err := js.Publish(t.Context(), "usage.1001", []byte(body))
		require.NoError(t, err)
	}
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 20, r.count())
	// Several workers take from the stream: which is kept first is not promised.
	var origins, want []string
	for i, k := range r.kept() {
		origins = append(origins, k.Origin)
		want = append(want, fmt.Sprintf("USAGE-%d", 3*i+1))
	}
	require.Len(t, origins, 10)
	assert.ElementsMatch(t, want, origins)
	assert.Equal(t, uint64(10), r.Stats().Stream.Terminated)
}

// An append fails although it landed, and every message comes again: each counts once, with an id or without.
func TestRedeliveryStorm(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	r.fail(full, true)
	js := r.jet()
	for i := range 200 {
		var o []jetstream.PublishOpt
		if i%2 == 0 {
			o = append(o, jetstream.WithMsgID(fmt.Sprint(i)))
		}
		_, err := js.Publish(t.Context(), "usage.1001", []byte("["+one+","+one+"]"), o...)
		require.NoError(t, err)
	}
	r.eventually("some came again", func() bool { return r.Stats().Stream.Redelivered > 0 })
	r.fail(nil, false)
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 400, r.count())
	assert.NotZero(t, r.Stats().Stream.Postponed)
}

// A producer whose acknowledgement was lost sends the same message again, beyond what the stream remembers.
func TestProducerRepeats(t *testing.T) {
	r := newRig(t, "")
	for range 50 {
		r.publish("usage.1001", "same", one)
	}
	r.eventually("all were seen", func() bool { return r.Stats().Waiting == 0 && r.count() > 0 })
	r.stop(r.Bridge)
	assert.Equal(t, 1, r.count())
}

// The server goes with messages in its stream, and comes back with them.
func TestStreamSurvivesItsServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	js := r.jet()
	_, err := js.Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	r.eventually("the first is done", func() bool { return r.left("USAGE") == 0 })
	r.fail(full, false)
	_, err = js.Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	address := r.server.Address()
	stopServer(t, r.server)
	r.eventually("the failure is reported", func() bool { return r.Health() != nil })
	r.fail(nil, false)
	r.server = serverAt(t, r.dir, address)
	r.eventually("the second is done", func() bool { return r.client.IsConnected() && r.left("USAGE") == 0 })
	assert.Equal(t, 2, r.count())
}

// A disk that takes longer than ack_wait is no reason to deliver anything again: the server is told that it
// is in progress.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	js := r.jet()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MINE", Subjects: []string{"usage.>"}})
	require.NoError(t, err)
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "reporterd", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 3 * time.Second, FilterSubject: "usage.>",
	})
	require.NoError(t, err)
	r.stop(r.Bridge)
	r.gate = make(chan struct{})
	for range 10 {
		_, err := js.Publish(t.Context(), "usage.1001", []byte(one))
		require.NoError(t, err)
	}
	r.open("MINE")
	redelivered := func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumRedelivered > 0
	}
	assert.Never(t, redelivered, 4*time.Second, 200*time.Millisecond)
	close(r.gate)
	r.eventually("acknowledged", func() bool { return r.Stats().Stream.Acknowledged == 10 })
	assert.Equal(t, 10, r.count())
}

// Two daemons share a subject and a stream: each message goes to one of them.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"", "USAGE"} {
		t.Run("stream "+stream, func(t *testing.T) {
			r := newRig(t, stream)
			r.open(stream)
			for i := range 300 {
				r.publish("usage.1001", fmt.Sprint(i), one)
			}
			r.eventually("all are counted", func() bool { return r.count() == 300 })
			r.stop(r.Bridge)
			assert.Equal(t, 300, r.count())
			assert.Zero(t, r.repeated(), "it was delivered once")
		})
	}
}

// Events that have no time get that of their message.
func TestStreamTime(t *testing.T) {
	r := newRig(t, "USAGE")
	before := time.Now().Unix()
	_, err := r.jet().Publish(t.Context(), "usage.1001", []byte(one))
	require.NoError(t, err)
	r.eventually("done", func() bool { return r.left("USAGE") == 0 })
	assert.GreaterOrEqual(t, r.stamps[0], before)
}

// A stream and a consumer that are there stay as they are; what is wrong with them is said.
func TestUnfitConsumer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subjects []string
		consumer *jetstream.ConsumerConfig
		want     string
	}{
		"subjects": {[]string{"orders.>"}, nil, "the stream has subjects orders.>: expected one that meets usage.>"},
		"ack_policy": {[]string{"usage.>"}, &jetstream.ConsumerConfig{FilterSubject: "usage.>", AckPolicy: jetstream.AckAllPolicy},
			"ack_policy is"},
		"max_deliver": {[]string{"usage.>"}, &jetstream.ConsumerConfig{FilterSubject: "usage.>", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3},
			"max_deliver is 3: expected -1"},
		"filter": {[]string{"usage.>"}, &jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy}, "filter_subject is : expected usage.>"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "")
			js := r.jet()
			stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MINE", Subjects: c.subjects, MaxMsgs: 7})
			require.NoError(t, err)
			if c.consumer != nil {
				c.consumer.Durable = "reporterd"
				_, err = stream.CreateConsumer(t.Context(), *c.consumer)
				require.NoError(t, err)
			}
			require.ErrorContains(t, openStream(t, r, "MINE"), c.want)
			info, err := stream.Info(t.Context())
			require.NoError(t, err)
			assert.Equal(t, int64(7), info.Config.MaxMsgs)
		})
	}
}

// openStream opens a bridge of its own and returns what is wrong with the stream.
func openStream(t *testing.T, r *rig, stream string) (failure error) {
	t.Helper()
	b := r.onStream(stream)
	defer r.stop(b)
	r.eventually("it says what is wrong", func() bool {
		failure = b.Health()
		return failure != nil && !strings.Contains(failure.Error(), "not consumed yet") && b.Stats().Connected
	})
	return failure
}

// A backlog of large messages is read without the server taking the daemon for a slow consumer.
func TestLargeBacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	r.stop(r.Bridge)
	body := []byte(one + strings.Repeat(" ", 1<<20))
	for range 60 {
		_, err := r.jet().Publish(t.Context(), "usage.1001", body)
		require.NoError(t, err)
	}
	r.open("USAGE")
	r.eventually("all is taken", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 60, r.count())
	assert.Zero(t, r.Stats().Losses)
	assert.Zero(t, r.Stats().Stream.Redelivered)
}
