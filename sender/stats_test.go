package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Neither statuses nor codes of a strange backend make series without end.
func TestFiguresAreBoundedWhateverTheBackendSays(t *testing.T) {
	c, now := newCounts(), time.Now()
	for status := range 1000 {
		c.answered(Verdict{Kind: Hold}, &threescale.Answer{Status: status}, now, now)
	}
	c.answered(Verdict{Kind: Ambiguous}, nil, now, now)
	assert.LessOrEqual(t, len(c.answers), len(known)+6)
	assert.EqualValues(t, 1, c.answers[Answered{"hold", "403"}])
	assert.EqualValues(t, 1, c.answers[Answered{"ambiguous", "none"}])

	b := &spool.Batch{Transactions: []spool.Transaction{{Events: 3}}}
	for i := range 100 {
		c.resolved(b, spool.Resolution{Dead: []spool.DeadLetter{{Reason: spool.Reason{Code: fmt.Sprint("made_up_", i)}}}})
	}
	assert.Len(t, c.dead, maxReasons+1)
	assert.Equal(t, DeadLettered{Transactions: 100 - maxReasons, Events: 3 * (100 - maxReasons)}, c.dead["other"])
}

// Services with credentials of their reporter's own are nobody's in particular.
func TestEndsAreCountedByConfiguredService(t *testing.T) {
	c := newCounts()
	b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: []spool.Transaction{{Events: 3}, {Events: 4}}}
	b.Transactions[0].Timestamp = 1790000000
	c.resolved(b, spool.Resolution{Delivered: []int{0}, Dead: []spool.DeadLetter{{Index: 1}}})
	b.Lane = spool.LaneKey{ServiceID: "made-up", Credentials: threescale.Credentials{ServiceToken: "t"}}
	c.resolved(b, spool.Resolution{Delivered: []int{0}})
	assert.Equal(t, map[string]Ended{"1001": {Delivered: 3, Dead: 4}, "": {Delivered: 3}}, c.ended)
	assert.EqualValues(t, 1790000000, c.latest)
}
