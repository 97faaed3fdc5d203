package sender

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// While a receipt application is gone, what is delivered is what 3scale accepted: it is counted as unconfirmed, also for the ledger and
// after a restart. The reports before and after it are not.
func TestDeliveredWithoutReceiptsIsUnconfirmed(t *testing.T) {
	var mu sync.Mutex // guards ended
	var ended []spool.BatchID
	settled := func(b *spool.Batch, _ spool.Resolution) {
		mu.Lock()
		defer mu.Unlock()
		ended = append(ended, b.ID)
	}
	receiptOptions(t, sandbox.Options{}, Options{Settled: settled}, false, func(c *city) {
		c.create(apps(300)...)
		c.seal("1001", apps(300)[:100]...)
		c.settled(time.Minute)
		require.NoError(t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "receipt-last", State: "deleted"}))
		c.wait(2 * time.Minute)
		c.seal("1001", apps(300)[100:200]...)
		c.settled(time.Minute)
		unconfirmed := c.sender.Stats().Receipts.Ends["unconfirmed"]
		assert.Equal(t, ReceiptResult{Reports: 1, Events: 100}, unconfirmed)
		assert.Zero(t, c.named(), "the log says it once, not for each report")
		c.restart()
		c.setUp(c.sender.keepers["1001"].config)
		c.wait(3 * time.Minute)
		c.seal("1001", apps(300)[200:]...)
		c.settled(time.Minute)
		assert.Zero(t, c.sender.Stats().Receipts.Ends["unconfirmed"], "since the restart")
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, ended, 3)
		end, named := c.sender.EndOf(ended[1])
		assert.True(t, named)
		assert.Equal(t, "unconfirmed", end.End)
		for _, id := range []spool.BatchID{ended[0], ended[2]} {
			_, named = c.sender.EndOf(id)
			assert.False(t, named)
		}
		assert.Equal(t, map[uint64]int{1: 300}, c.each(apps(300)))
	})
}

// on_ambiguous: receipt. What carries a receipt is decided by it and is parked by no figure; what carried none, since a receipt
// application was gone, is kept for an operator and never sent again by itself; a service without receipts sends again.
func TestAmbiguousIsSentAgainOnlyWhenKnownNotToHaveLanded(t *testing.T) {
	withReceipts(t, sandbox.Options{}, func(c *city) {
		c.create(apps(40)...)
		lost := sandbox.Faults{Report: []sandbox.Fault{{Times: 1, Close: true, Landed: true}}}
		c.faults(lost)
		c.seal("1001", apps(20)...)
		c.wait(2 * time.Second)
		assert.Empty(t, c.sender.Parked(spool.BatchID{}, 10))
		assert.Zero(t, c.laneOf("1001").Parked)
		c.settled(time.Minute)

		require.NoError(t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "receipt-last", State: "deleted"}))
		c.wait(2 * time.Minute)
		c.faults(lost)
		c.seal("1001", apps(40)[20:]...)
		c.wait(time.Hour)
		assert.Equal(t, map[uint64]int{1: 40}, c.each(apps(40)), "it was counted, and not sent again")
		parked := c.sender.Parked(spool.BatchID{}, 10)
		require.Len(t, parked, 1)
		assert.Equal(t, Parked, c.laneOf("1001").State)
		assert.Equal(t, 1, c.laneOf("1001").Parked)
		require.NoError(t, c.sender.Unpark(parked[0].ID, Counted))

		c.faults(lost)
		c.seal("1005", "app1")
		c.settled(time.Hour)
		assert.EqualValues(t, 2, c.sandbox.Usage()["1005"]["app1"]["hits"], "sent again")
	})
}

func (c *city) laneOf(service string) LaneStatus {
	for _, l := range c.sender.Lanes(10) {
		if l.ServiceID == service {
			return l
		}
	}
	return LaneStatus{}
}

// A receipt application or metric that is deleted under load voids reports until that is noticed: 3scale's processes remember it for a
// minute. Each of them is sent again, once, when it is known that nothing of it was counted; the reports that do not carry it are
// decided meanwhile, and those of later go without receipts. A metric that is made again begins at 0: what it showed of a report whose
// counter stood at 0 is lost, and the report is named unconfirmed.
func TestReceiptDeletedUnderLoad(t *testing.T) {
	for _, what := range []string{"receipt-first", "receipt-second", "receipt-last", "r0", "r3"} {
		t.Run(what, func(t *testing.T) {
			so := sandbox.Options{NegativeCache: minute, PositiveCache: minute, WorkerDelay: 40 * time.Second}
			withReceipts(t, so, func(c *city) { c.receiptDeletedUnderLoad(what) })
		})
	}
}

func (c *city) receiptDeletedUnderLoad(what string) {
	const applications, rounds = 50, 60
	metric := !strings.HasPrefix(what, "receipt-")
	c.create(apps(applications)...)
	for i := range rounds { // a report every 5 s
		switch {
		case i == 15 && metric:
			require.NoError(c.t, c.sandbox.PutServices(sandbox.ServiceChange{ID: "1001", DeletedMetrics: []string{what}}))
		case i == 15:
			require.NoError(c.t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: what, State: "deleted"}))
		}
		c.seal("1001", apps(applications)...)
		c.wait(5 * time.Second)
	}
	c.wait(3 * time.Minute)
	voided := c.sandbox.Calls().DiscardedBatches
	waiting := c.spool.Counts().Pending
	c.setUp(c.sender.keepers["1001"].config)
	took := c.settled(2 * time.Hour)
	c.t.Logf("%d reports voided after their 202; %d events waited until it was there again, and %v longer; %v", voided, waiting, took, c.sender.Stats().Receipts.Ends)
	for times := range c.each(apps(applications)) {
		assert.LessOrEqual(c.t, times, uint64(rounds), "none is counted twice")
		assert.LessOrEqual(c.t, rounds-int(times), c.named(), "what is missing is named")
	}
	if !metric {
		assert.Equal(c.t, map[uint64]int{rounds: applications}, c.each(apps(applications)))
		assert.Zero(c.t, c.named())
		assert.Equal(c.t, what != "receipt-second", voided > 0, "small reports carry the first and the last")
	}
	assert.LessOrEqual(c.t, waiting, uint64(12*applications))
	assert.Zero(c.t, c.spool.Counts().Dead)
}
