package spool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// message returns the events of a message of a stream, with the ids named; "" is none.
func message(stream, sequence, floor uint64, ids ...string) []event.Event {
	events := identified(ids...)
	source := &event.Source{Stream: stream, Sequence: sequence, Floor: floor}
	for i := range events {
		events[i].Source = source
	}
	return events
}

func joined(messages ...[]event.Event) (all []event.Event) {
	for _, m := range messages {
		all = append(all, m...)
	}
	return all
}

// TestRedeliveryIsKnownForEver: a message counts once although its events have no ids and dedupe.window is long over, before and
// behind a cut, and across restarts. Another stream, and the same one created again, are different streams.
func TestRedeliveryIsKnownForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Dir: t.TempDir(), DedupeWindow: time.Minute}
		s, _ := open(t, o)
		assert.Zero(t, appendAll(t, s, joined(message(1, 7, 0, "", "", ""), message(1, 8, 0, ""))))
		for range 3 {
			<-time.After(time.Hour)
			again := joined(message(1, 8, 0, ""), message(1, 9, 0, ""), message(1, 7, 0, "", "", ""))
			if s.journal.sources.has(*again[1].Source) {
				assert.Equal(t, 5, appendAll(t, s, again))
			} else {
				assert.Equal(t, 4, appendAll(t, s, again), "the one between two known ones is new")
			}
			assert.Equal(t, []bool{true, true, true}, []bool{again[0].Duplicate, again[2].Duplicate, again[4].Duplicate})
			cutAll(t, s)
			s, _ = reopen(t, s, o)
		}
		assert.EqualValues(t, 5, s.Counts().Accepted)
		assert.Zero(t, appendAll(t, s, message(2, 7, 0, "")), "of another stream")
	})
}

// TestSourceBesideIDs: ids and places are looked up independently of each other, in any mixture.
func TestSourceBesideIDs(t *testing.T) {
	o := Options{Dir: t.TempDir(), DedupeWindow: time.Hour}
	s, _ := open(t, o)
	appendAll(t, s, message(1, 1, 0, "a", "b"))
	events := joined(message(1, 2, 0, "b", "c", "c", ""), message(1, 1, 0, "a", "b"), identified("d", "a"), message(1, 3, 0, "a"), identified("e"))
	assert.Equal(t, 6, appendAll(t, s, events))
	var duplicates []int
	for i := range events {
		if events[i].Duplicate {
			duplicates = append(duplicates, i)
		}
	}
	assert.Equal(t, []int{0, 2, 4, 5, 7, 8}, duplicates)
	kept, _ := pending(t, s)
	assert.Len(t, kept, 6)
	assert.Equal(t, 4, appendAll(t, s, message(1, 4, 0, "a", "b", "c", "d")), "every event is known, so there is nothing to write beside the message")
	assert.Equal(t, 1, appendAll(t, s, joined(identified("f"), message(1, 5, 0, "a"))), "the message stands behind the last event")
	s, _ = reopen(t, s, o)
	for sequence := range uint64(5) {
		assert.True(t, s.journal.sources.has(event.Source{Stream: 1, Sequence: sequence + 1}), "message %d", sequence+1)
	}
	assert.Equal(t, 1, appendAll(t, s, message(1, 3, 0, "z")))
	assert.Equal(t, 1, appendAll(t, s, identified("c")))
}

// TestMessageInParts: a part that was taken is known, the next one is not.
func TestMessageInParts(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	part := func(next uint32) []event.Event {
		events := message(1, 5, 0, "", "")
		*events[0].Source = event.Source{Stream: 1, Sequence: 5, Next: next}
		return events
	}
	for _, next := range []uint32{2, 4, 0} {
		require.Zero(t, appendAll(t, s, part(next)))
		s, _ = reopen(t, s, o)
		require.Equal(t, 2, appendAll(t, s, part(2)))
		require.Equal(t, 2, appendAll(t, s, part(next)))
		cutAll(t, s)
		s, _ = reopen(t, s, o)
		require.Equal(t, 2, appendAll(t, s, part(next)))
	}
}

// TestSourcesOutliveTheirSegments: segments of the ids log go when their ids have expired, and take no message of a stream along.
func TestSourcesOutliveTheirSegments(t *testing.T) {
	for _, window := range []time.Duration{0, time.Minute} {
		t.Run(window.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { outlive(t, window) })
		})
	}
}

func outlive(t *testing.T, window time.Duration) {
	o := Options{Dir: "data", DedupeWindow: window, SegmentBytes: minSegment, FS: disktest.New(disktest.Options{})}
	s, _ := open(t, o)
	oldest := uint64(1)
	for round := range uint64(6) {
		var all []event.Event
		for i := range uint64(3000) { // every other one, so that no two are one range
			all = append(all, message(1, 2*(3000*round+i)+2, 10, fmt.Sprint("id", round, i))...)
		}
		appendAll(t, s, all)
		cutAll(t, s)
		<-time.After(3 * time.Minute)
	}
	s, _ = reopen(t, s, o)
	assert.Greater(t, s.ids.log.Oldest().First, oldest, "the first segments are gone")
	for sequence := uint64(1); sequence <= 36000; sequence++ {
		require.Equal(t, sequence <= 10 || sequence%2 == 0, s.journal.sources.has(event.Source{Stream: 1, Sequence: sequence}), "message %d", sequence)
	}
}

// TestConcurrentDeliveries: a message that is delivered twice at once is taken once, and neither is answered before it is durable.
func TestConcurrentDeliveries(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	found := make(chan int, 16)
	for range cap(found) {
		go func() {
			n, err := s.Append(context.Background(), message(1, 1, 0, "", ""))
			assert.NoError(t, err)
			found <- n
		}()
	}
	duplicates := 0
	for range cap(found) {
		duplicates += <-found
	}
	assert.Equal(t, 2*(cap(found)-1), duplicates)
	assert.EqualValues(t, 2, s.Counts().Accepted)
}

// TestFloorForgets: what is below the floor is known and takes no memory.
func TestFloorForgets(t *testing.T) {
	var x sourceSet
	for sequence := range uint64(1000) {
		x.add(event.Source{Stream: 1, Sequence: sequence + 1, Next: uint32(sequence % 2)})
	}
	x.add(event.Source{Stream: 1, Sequence: 1001, Floor: 999})
	assert.Len(t, x.streams[1].taken, 1)
	assert.Len(t, x.streams[1].parts, 1)
	assert.True(t, x.has(event.Source{Stream: 1, Sequence: 3}))
	assert.False(t, x.has(event.Source{Stream: 1, Sequence: 1002}))
	var copied sourceSet
	for _, r := range x.all() {
		read, ok := readRange(r.append(nil))
		require.True(t, ok)
		read.addTo(&copied)
	}
	assert.Equal(t, x, copied)
}

// TestSourcesSurviveAnything holds random histories of deliveries, cuts, expiry and kills against the rule: an acknowledged message
// is taken exactly once.
func TestSourcesSurviveAnything(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomDeliveries(t, seed) })
		})
	}
}

func randomDeliveries(t *testing.T, seed uint64) {
	d := disktest.New(disktest.Options{Seed: seed})
	rng := rand.New(rand.NewPCG(seed, 1))
	o := Options{Dir: "data", DedupeWindow: time.Minute, SegmentBytes: minSegment, FS: d}
	s, _, err := Open(o)
	require.NoError(t, err)
	taken, floor, next := map[uint64]bool{}, uint64(0), uint64(1)
	for range 300 {
		switch rng.IntN(12) {
		case 0:
			if s.Committed() < Position(s.Counts().Accepted) {
				cutAll(t, s)
				for _, b := range s.Batches() {
					batch, err := s.Load(b.ID)
					require.NoError(t, err)
					all := make([]int, len(batch.Transactions))
					for i := range all {
						all[i] = i
					}
					require.NoError(t, s.Resolve(b.ID, Resolution{Delivered: all}))
				}
			}
		case 1:
			<-time.After(time.Duration(rng.IntN(100)) * time.Second)
		case 2:
			o.FS = d.Kill()
			d = o.FS.(*disktest.Disk)
			_ = s.Close()
			s, _, err = Open(o)
			require.NoError(t, err)
		case 3:
			for taken[floor+1] && rng.IntN(100) > 0 {
				floor++
			}
		default:
			var all []event.Event
			fresh := 0
			for range 1 + rng.IntN(40) {
				sequence := max(1, next-min(next, rng.Uint64N(200)))
				if rng.IntN(2) == 0 {
					sequence, next = next, next+1+rng.Uint64N(2)
				}
				events := message(9, sequence, floor, make([]string, 1+rng.IntN(3))...)
				if all = append(all, events...); !taken[sequence] {
					fresh += len(events)
				}
				taken[sequence] = true
			}
			require.Equal(t, len(all)-fresh, appendAll(t, s, all))
		}
	}
	for sequence := range next + 10 {
		require.Equal(t, taken[sequence] || sequence <= floor && sequence > 0 || sequence == 0 && floor > 0, s.journal.sources.has(event.Source{Stream: 9, Sequence: sequence}), "message %d, floor %d", sequence, floor)
	}
	require.NoError(t, s.Close())
}
