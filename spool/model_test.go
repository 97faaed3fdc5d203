package spool_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestModel runs random histories of the spool on a disk that forgets, tears, fails and runs full, and
// after every crash compares what the next life finds with what its clients were told:
//
//   - an acknowledged event is in exactly one place: journal, batch, dead letter or delivered;
//   - an event without a certain answer is in at most one, and if it is in none it never comes back;
//   - what the tail or the index handed out is durable, a position or a batch id means one thing for ever;
//   - an id is known if and only if its event is;
//   - a cut, a resolution and a requeue happen wholly or not at all;
//   - the counts are exact, and nothing is lost.
//
// In some histories a reader of the accounts books like the ledger: it misses nothing, and its sums are the counts.
//
// REPORTERD_MODEL_HISTORIES sets how many histories, REPORTERD_MODEL_SEED the first one's seed. A
// history is reproducible by its seed when it is not concurrent; otherwise it is one of many like it.
func TestModel(t *testing.T) {
	runHistories(t, 60, func(ctx context.Context, h *history) { h.digs = true; h.run(ctx) })
}

// progressEvery is after how many histories a long run says how far it is.
const progressEvery = 5000

// runHistories runs as many histories as the environment says, on all processors.
func runHistories(t *testing.T, usual int, run func(context.Context, *history)) {
	histories, first := int64(histories(t, usual)), int64(fromEnv(t, "REPORTERD_MODEL_SEED", 1))
	var next, crashes, events, failed atomic.Int64
	t.Run("all", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= histories; n = next.Add(1) {
					h := runSeed(t, uint64(first+n-1), run)
					crashes.Add(int64(h.crashes))
					failed.Add(int64(h.failed))
					events.Add(int64(len(h.book.entries)))
					if n%progressEvery == 0 {
						fmt.Fprintf(os.Stderr, "%s: %d of %d histories, %d crashes, %d starts that failed, %d events\n", // t.Log shows it at the end only
							t.Name(), n, histories, crashes.Load(), failed.Load(), events.Load())
					}
				}
			})
		}
	})
	t.Logf("%d histories, %d crashes, %d starts that failed, %d events", histories, crashes.Load(), failed.Load(), events.Load())
}

// runSeed runs one history in fake time, and ends the test if it meets a violation.
func runSeed(t *testing.T, seed uint64, run func(context.Context, *history)) *history {
	t.Helper()
	h := newHistory(seed)
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("seed %d: %v: %v\n%s", seed, h, p, strings.Join(h.disk.Trace(), "\n"))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		run(t.Context(), h)
		if h.spool != nil {
			_ = h.spool.Close()
		}
	})
	if v := h.book.violations; len(v) > 0 {
		t.Fatalf("seed %d: %v\n%s\nlast operations:\n%s", seed, h,
			strings.Join(v[:min(len(v), 12)], "\n"), strings.Join(h.trace, "\n"))
	}
	return h
}

// histories is how many histories to run: with -short a few.
func histories(t *testing.T, usual int) int {
	t.Helper()
	if testing.Short() {
		usual = 20
	}
	return fromEnv(t, "REPORTERD_MODEL_HISTORIES", usual)
}

// fromEnv reads a number from the environment.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	require.NoError(t, err, fmt.Sprintf("%s=%s", name, value))
	return n
}
