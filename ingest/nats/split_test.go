package nats_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// list is an array of n events, of which those in bad can never be taken.
func list(n int, bad ...int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = one
	}
	for _, i := range bad {
		all[i] = badEvent(i)
	}
	return "[" + strings.Join(all, ",") + "]"
}

func badEvent(i int) string { return fmt.Sprintf(`{"app_id":"app1","usage":{"hits":"bad %d"}}`, i) }

// send publishes one message of the stream, once its publisher knows that it is kept there.
func (r *rig) send(subject, body string, o ...jetstream.PublishOpt) {
	r.t.Helper()
	_, err := r.jet().Publish(r.t.Context(), subject, []byte(body), o...)
	require.NoError(r.t, err)
}

// payloads are what the letters hold, joined.
func (r *rig) payloads() string {
	var all strings.Builder
	for _, l := range r.kept() {
		all.Write(l.Payload)
	}
	return all.String()
}

// One bad event costs itself: what the stream has acknowledged to its publisher is taken or kept whole.
func TestStreamMessageLosesItsBadEventsOnly(t *testing.T) {
	r := newRig(t, "USAGE")
	r.send("usage.1001", list(10_000, 17, 4_000, 9_999))
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 9_997, r.count())
	assert.Equal(t, badEvent(17)+"\n"+badEvent(4_000)+"\n"+badEvent(9_999)+"\n", r.payloads())
	require.Len(t, r.kept(), 1)
	l := r.kept()[0]
	assert.Equal(t, "application/x-ndjson", l.Type)
	assert.Contains(t, l.Detail, "3 events cannot be taken; the rest of their message is kept apart. The first is event 17: usage.hits must be a number, not a string")
	assert.EqualValues(t, 3, r.Stats().Stream.BadEvents)
	assert.Zero(t, r.Stats().Stream.Terminated)
}

// The bounds of one HTTP request are not those of a message that the stream keeps already.
func TestStreamMessageOfAnySize(t *testing.T) {
	r := newRig(t, "")
	r.stop(r.Bridge)
	r.ingest.MaxEvents, r.ingest.MaxBody = 1000, 4<<10
	r.open("USAGE")
	r.send("usage.1001", list(4_321), jetstream.WithMsgID("large"))
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.Equal(t, 4_321, r.count())
	assert.True(t, r.seen["large/4320"], "ids count through")
	assert.Empty(t, r.kept())
}

// What is no usage at all is kept whole, in as many letters as it takes.
func TestStreamMessageIsKeptWhole(t *testing.T) {
	r := newRig(t, "USAGE")
	garbage := "[" + one + "," + strings.Repeat("größe ", 50_000)
	r.send("usage.1001", garbage)
	r.send("usage.nobody", list(5_000))
	r.eventually("the stream is empty", func() bool { return r.left("USAGE") == 0 })
	assert.Zero(t, r.count())
	var malformed, unknown strings.Builder
	for _, l := range r.kept() {
		assert.LessOrEqual(t, len(l.Payload), 128<<10)
		if l.Subject == "usage.1001" {
			malformed.Write(l.Payload)
		} else {
			unknown.Write(l.Payload)
		}
	}
	assert.Equal(t, garbage, malformed.String())
	assert.Equal(t, strings.Repeat(one+"\n", 5_000), unknown.String())
	assert.EqualValues(t, 2, r.Stats().Stream.Terminated)
}

// Nothing is acknowledged while a bad event cannot be kept, and nothing is taken: it would be taken again with
// each delivery, also when its id is forgotten.
func TestStreamMessageWaitsForItsLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, "USAGE")
	r.mu.Lock()
	r.noRoom = errors.New("no room")
	r.mu.Unlock()
	r.send("usage.1001", list(10, 3))
	r.eventually("sent back", func() bool { return r.Stats().Stream.Postponed == 1 })
	assert.Zero(t, r.count())
	assert.EqualValues(t, 1, r.left("USAGE"))
}

// A dead letter says whether its message had been acknowledged: what had not has a quota of its own.
func TestLettersKnowWhatWasAcknowledged(t *testing.T) {
	r := newRig(t, "")
	r.publish("usage.1001", "", badEvent(1))
	r.eventually("kept", func() bool { return len(r.kept()) == 1 })
	assert.True(t, r.kept()[0].Rejected)
	r.stop(r.Bridge)
	r.open("USAGE")
	r.send("usage.1001", badEvent(2))
	r.eventually("kept", func() bool { return len(r.kept()) == 2 })
	assert.False(t, r.kept()[1].Rejected)
}
