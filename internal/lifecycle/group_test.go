package lifecycle

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Parts end in the reverse order of their start, each after the one that was started later has returned.
func TestStopMirrorsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		var ended []string
		for _, name := range []string{"sender", "prober", "batcher"} {
			g.Go(name, func(ctx context.Context) error {
				<-ctx.Done()
				<-time.After(time.Second)
				ended = append(ended, name)
				return nil
			})
		}
		assert.NoError(t, g.Stop(t.Context()))
		assert.Equal(t, []string{"batcher", "prober", "sender"}, ended)
		assert.NoError(t, g.Stop(t.Context()), "stopping again does nothing")
	})
}

// A part that ends by itself with an error is the group's failure; one that was told to end is not.
func TestFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		broken := errors.New("broken")
		g.Go("admin listener", func(context.Context) error { return broken })
		g.Go("traffic listener", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		err := <-g.Failed()
		assert.ErrorIs(t, err, broken)
		assert.EqualError(t, err, "admin listener: broken")
		_ = g.Stop(t.Context())
		select {
		case err := <-g.Failed():
			t.Fatal("a part that was told to end has not failed:", err)
		default:
		}
	})
}

// A part that does not end within the time it is given is left behind, and the other parts are cancelled nevertheless.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		told := false
		g.Go("first", func(ctx context.Context) error {
			<-ctx.Done()
			told = true
			return nil
		})
		g.Go("stuck", func(context.Context) error {
			<-time.After(time.Hour)
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, g.Stop(ctx), context.DeadlineExceeded)
		synctest.Wait()
		assert.True(t, told)
		<-time.After(time.Hour)
	})
}
