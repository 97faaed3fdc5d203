package daemon

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon/partition"
)

// TestRecordsAreWrittenWhole: of what is done to dead letters nothing but the log remembers, so each has its line.
func TestRecordsAreWrittenWhole(t *testing.T) {
	const lines = 1000
	var out bytes.Buffer
	log, _ := NewLogger(&out, config.Log{Level: "info", Format: "json"})
	for range lines {
		log.With(zap.Int("partition", 1)).Named(partition.DeadLetterLogger).Info("dead letter dropped")
	}
	assert.Equal(t, lines, strings.Count(out.String(), "dropped"))
	log.Named(partition.DeadLetterLogger).Debug("below the level")
	assert.NotContains(t, out.String(), "below")
}

// TestFloodOfLinesIsSampled: the same line over and over is sampled, different lines are not.
func TestFloodOfLinesIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := NewLogger(&out, config.Log{Level: "info", Format: "json"})
		for range 10_000 {
			log.Warn("flood")
		}
		log.Warn("something else")
		lines := strings.Count(out.String(), `"flood"`)
		assert.Equal(t, 50+(10_000-50)/100, lines)
		assert.Contains(t, out.String(), "something else")
		<-time.After(time.Second)
		log.Warn("flood")
		assert.Equal(t, lines+1, strings.Count(out.String(), `"flood"`), "in the next second it is news again")
	})
}
