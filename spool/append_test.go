package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventsComeBackAsTheyWere(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	events := []event.Event{
		{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "app1"}, Timestamp: 1764000000, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
		{ServiceID: "1002", FlatUsage: true, Transaction: threescale.Transaction{
			Application: threescale.Application{UserKey: "key"}, Timestamp: -5, Code: 404,
			Usage: threescale.Usage{{Metric: "a\x00b", Value: threescale.MaxValue}, {Metric: "ü", Value: 3}}}},
		{ServiceID: "9", Credentials: threescale.Credentials{ServiceToken: "t", ProviderKey: "p"}, Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "app"}, Timestamp: 1, Usage: threescale.Usage{}}},
	}
	appendAll(t, s, events)
	for range 2 {
		found, last := pending(t, s)
		assert.Equal(t, events, found)
		assert.EqualValues(t, 3, last)
		s, _ = reopen(t, s, o)
	}
}

func TestAppendIsConcurrent(t *testing.T) {
	o := Options{Dir: t.TempDir(), DedupeWindow: time.Hour, SegmentBytes: 16 << 10}
	s, _ := open(t, o)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := range 20 {
				_, err := s.Append(context.Background(), identified(fmt.Sprintf("%d-%d", worker, i), fmt.Sprintf("shared-%d", i)))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, Counts{Accepted: 16*20 + 20, Pending: 16*20 + 20, Duplicates: 15 * 20}, s.Counts())
	s, _ = reopen(t, s, o)
	checkLaw(t, s, 0)
	events, _ := pending(t, s)
	assert.Len(t, events, 16*20+20)
}

func TestDuplicates(t *testing.T) {
	o := Options{Dir: t.TempDir(), DedupeWindow: time.Hour}
	s, _ := open(t, o)
	assert.Equal(t, 1, appendAll(t, s, identified("a", "b", "a", "")), "twice in a request")
	assert.Equal(t, 2, appendAll(t, s, identified("b", "", "a")))
	other := identified("a")
	other[0].ServiceID = "1002"
	assert.Equal(t, 0, appendAll(t, s, other), "an id belongs to its service")
	s, _ = reopen(t, s, o)
	assert.Equal(t, 2, appendAll(t, s, identified("a", "b")), "after a restart, from the journal")
	cutAll(t, s)
	deliver(t, s)
	s, _ = reopen(t, s, o)
	assert.Equal(t, 2, appendAll(t, s, identified("a", "b")), "after a restart, from the ids")
	assert.EqualValues(t, 5, s.Counts().Accepted)
}

// TestDuplicatesAreNamed: the caller learns which of its events were known.
func TestDuplicatesAreNamed(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), DedupeWindow: time.Hour})
	for _, c := range []struct {
		ids  []string
		want []bool
	}{
		{[]string{"a", "", "b", "a"}, []bool{false, false, false, true}},
		{[]string{"c", "b", "", "a", "d", "d"}, []bool{false, true, false, true, false, true}},
		{[]string{"a", "b"}, []bool{true, true}},
		{[]string{"", ""}, []bool{false, false}},
	} {
		events, got := identified(c.ids...), []bool(nil)
		appendAll(t, s, events)
		for _, e := range events {
			got = append(got, e.Duplicate)
		}
		assert.Equal(t, c.want, got, "%v", c.ids)
	}
}

func TestIDsAreForgottenAfterTheWindow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Dir: dir, DedupeWindow: 10 * time.Minute}
		s, _, err := Open(o)
		require.NoError(t, err)
		appendAll(t, s, identified("a"))
		<-time.After(10 * time.Minute)
		assert.Equal(t, 1, appendAll(t, s, identified("a")), "at the end of the window")
		cutAll(t, s)
		<-time.After(2 * time.Second)
		assert.Equal(t, 0, appendAll(t, s, identified("a")), "behind it")
		<-time.After(20 * time.Minute)
		assert.Equal(t, 0, appendAll(t, s, identified("b")))
		assert.Equal(t, 1, s.Usage().IDs, "what has expired takes no memory")
		cutAll(t, s)
		require.NoError(t, s.Close())
		<-time.After(11 * time.Minute)
		s, _, err = Open(o)
		require.NoError(t, err)
		assert.Equal(t, 0, appendAll(t, s, identified("b")), "nor does a restart bring it back")
		require.NoError(t, s.Close())
	})
}

// TestIDsAreSwitchedOff: events with ids that were accepted before are sealed, also where ids are not remembered any more.
func TestIDsAreSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: dir, DedupeWindow: time.Hour})
	appendAll(t, s, identified("a", "b"))
	s, _ = reopen(t, s, Options{Dir: dir})
	assert.Len(t, cutAll(t, s), 1)
	assert.EqualValues(t, 2, s.Counts().Pending)
}

func TestNoMemoryForMoreIDs(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), DedupeWindow: time.Hour, MaxIDs: 3})
	appendAll(t, s, identified("a", "b"))
	_, err := s.Append(context.Background(), identified("c", "d"))
	var refused *event.Refused
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.Full, "refused rather than forgotten early")
	assert.Positive(t, refused.RetryAfter)
	assert.Equal(t, "dedupe.max_ids of 3", refused.Limit)
	assert.Equal(t, 2, appendAll(t, s, identified("b", "a")), "a known id is answered as one")
	assert.Equal(t, 1, appendAll(t, s, identified("b", "c")), "the ids of a refused request take nothing")
	appendAll(t, s, someEvents(5)) // those without an id are taken
	assert.EqualValues(t, 8, s.Counts().Accepted)
}

// TestDuplicatesAreAnsweredWithoutSpace: a producer that sends again gets its answer on a full disk, too: it takes no space.
func TestDuplicatesAreAnsweredWithoutSpace(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), DedupeWindow: time.Hour})
	appendAll(t, s, identified("a", "b"))
	full := &event.Refused{}
	s.quota.Max = 1
	_, err := s.Append(context.Background(), identified("a", "c"))
	require.ErrorAs(t, err, &full)
	assert.True(t, full.Full)
	assert.Empty(t, s.journal.inFlight)
	_, err = s.Append(context.Background(), someEvents(1))
	require.ErrorAs(t, err, &full)
	assert.Equal(t, 2, appendAll(t, s, identified("b", "a")))
}

func TestNothingOfARefusedRequestIsKept(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s, _ := open(t, Options{Dir: "data", FS: d, DedupeWindow: time.Hour})
	appendAll(t, s, identified("a"))
	d.Inject(disktest.Fault{On: disktest.Sync, Name: "journal", Times: 2})
	_, err := s.Append(context.Background(), identified("b", "a"))
	var refused *event.Refused
	require.ErrorAs(t, err, &refused)
	assert.False(t, refused.Full)
	assert.Error(t, errors.Unwrap(refused))
	events, _ := pending(t, s)
	assert.Len(t, events, 1)
	assert.Equal(t, 1, appendAll(t, s, identified("b", "a")), "an id is not claimed by what was refused")
}

func TestAppendAfterClose(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	require.NoError(t, s.Close())
	_, err := s.Append(context.Background(), someEvents(1))
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, s.Ready(), ErrClosed)
	assert.NoError(t, s.Close(), "twice is once")
}

func TestAppendAllocatesNothingPerEvent(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), Sync: Never})
	events := someEvents(1000)
	appendAll(t, s, events)
	allocs := testing.AllocsPerRun(50, func() { appendAll(t, s, events) })
	assert.Less(t, allocs, 20.0, "for 1000 events")
}

// A frame that a reader would treat as damage is refused before it is acknowledged.
func TestFrameThatNobodyWouldReadIsRefused(t *testing.T) {
	s, _ := open(t, Options{Dir: "data", FS: disktest.New(disktest.Options{})})
	assert.ErrorContains(t, s.batches.append(make([]byte, wal.MaxFrame), nil), "the maximum is")
	appendAll(t, s, someEvents(1))
	cutAll(t, s)
	checkLaw(t, s, 0)
}
