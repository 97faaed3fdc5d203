package partition

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestUnreadableIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		var failing atomic.Bool
		u := unreadable{log: zap.New(core), why: func() error {
			if failing.Load() {
				return syscall.EIO
			}
			return nil
		}}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- u.watch(ctx) }()
		for range 4 {
			<-time.After(time.Minute)
			failing.Store(!failing.Load())
		}
		<-time.After(time.Minute)
		end()
		assert.NoError(t, <-done)
		var said []string
		for _, e := range logs.All() {
			said = append(said, e.Level.String())
		}
		assert.Equal(t, []string{"error", "info", "error", "info"}, said)
	})
}
