package outage

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

var errFull = errors.New("no space left on device")

func observed(calm time.Duration) (*Outage, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return New(Options{Log: zap.New(core), Begin: "cannot write", End: "written again", BeginLevel: zap.ErrorLevel, Calm: calm}), logs
}

// TestOutage: many failures are two lines, and the second one says how long it was and how often.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, logs := observed(0)
		assert.False(t, o.Report(nil), "nothing had failed")
		assert.True(t, o.Failed(errFull, zap.String("file", "a")))
		for range 9 {
			<-time.After(time.Second)
			assert.False(t, o.Report(errFull))
		}
		assert.Equal(t, errFull, o.Err())
		<-time.After(time.Second)
		assert.True(t, o.Worked())
		assert.False(t, o.Worked())
		assert.NoError(t, o.Err())

		all := logs.TakeAll()
		require.Len(t, all, 2)
		assert.Equal(t, "cannot write", all[0].Message)
		assert.Equal(t, zapcore.ErrorLevel, all[0].Level)
		assert.Equal(t, map[string]any{"error": errFull.Error(), "file": "a"}, all[0].ContextMap())
		assert.Equal(t, "written again", all[1].Message)
		assert.Equal(t, zapcore.InfoLevel, all[1].Level)
		assert.Equal(t, map[string]any{"after": 10 * time.Second, "failures": int64(10)}, all[1].ContextMap())

		o.Report(errFull)
		o.Report(nil)
		assert.Equal(t, int64(1), logs.All()[1].ContextMap()["failures"], "the next outage counts from one")
	})
}

// TestFlapping: an operation that fails each other time is one outage while it does.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, logs := observed(10 * time.Second)
		for range 1000 {
			o.Report(errFull)
			<-time.After(9 * time.Second)
			o.Report(nil)
		}
		assert.Equal(t, 1, logs.Len())
		<-time.After(time.Second)
		assert.True(t, o.Report(nil))
		assert.Equal(t, int64(1000), logs.All()[1].ContextMap()["failures"])
	})
}

// TestConcurrent: of many goroutines one logs each change.
func TestConcurrent(t *testing.T) {
	o, logs := observed(0)
	all := func(err error) (changes int) {
		var mu sync.Mutex // guards changes
		var work sync.WaitGroup
		for range 50 {
			work.Go(func() {
				if o.Report(err) {
					mu.Lock()
					changes++
					mu.Unlock()
				}
			})
		}
		work.Wait()
		return changes
	}
	assert.Equal(t, 1, all(errFull))
	assert.Equal(t, 1, all(nil))
	assert.Equal(t, int64(50), logs.All()[1].ContextMap()["failures"])
}

func TestNoLogger(t *testing.T) {
	o := New(Options{})
	assert.True(t, o.Failed(errFull))
	assert.True(t, o.Worked())
}
