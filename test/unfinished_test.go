package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hold sends the beginning of a request and keeps the connection, again and again until ctx ends. It counts what it sent.
func (f *flood) hold(ctx context.Context, sent *atomic.Int64, parts ...string) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", f.address)
		if err != nil {
			pauseIn(ctx, 100*time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		for _, part := range parts {
			if _, err = io.WriteString(conn, part); err != nil {
				break
			}
			sent.Add(int64(len(part)))
		}
		f.opened.Add(1)
		_, _ = io.Copy(io.Discard, conn) // until the daemon ends it
		stop()
		_ = conn.Close()
		pauseIn(ctx, 5*time.Second)
	}
}

// TestUnfinishedRequests: hundreds of unfinished heads of nearly a megabyte, and large reports without their last byte, with credentials
// and without, neither fill the memory nor turn small requests away.
func TestUnfinishedRequests(t *testing.T) {
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	calm := produceWell(t, d, floodTime)
	before := peak(t, d.cmd.Process.Pid)

	const heads, bodies = 400, 8
	ctx, end := context.WithCancel(t.Context())
	f := &flood{address: strings.TrimPrefix(d.traffic, "http://")}
	var sent atomic.Int64
	large := strings.Repeat("x", 960<<10)
	for range heads {
		f.running.Go(func() { f.hold(ctx, &sent, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: ", large) })
	}
	const size = 8 << 20
	form := fmt.Sprintf("POST /transactions.xml HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
	for i := range bodies {
		credentials := map[int]string{0: "service_token=stoken1001&service_id=1001&", 1: "x=1&"}[i%2]
		f.running.Go(func() { f.hold(ctx, &sent, form, credentials, strings.Repeat("&", size-1-len(credentials))) })
	}
	eventually(t, 60*time.Second, "all are there", func() bool { return f.opened.Load() >= heads+bodies })
	flooded := produceWell(t, d, 4*floodTime)
	after := peak(t, d.cmd.Process.Pid)
	end()
	f.running.Wait()

	require.Empty(t, calm.failed)
	served := len(flooded.waits) - len(flooded.failed)
	assert.GreaterOrEqual(t, served*100, len(flooded.waits)*99, "served of %d: %v", len(flooded.waits), flooded.failed)
	// A daemon under the race detector takes several times what the plain one does.
	assert.Less(t, after, before+250, "MiB resident at most")
	t.Logf("%d MiB sent in %d unfinished heads and bodies: %d of %d requests served, p99 %v, without them %v; memory at most %d MiB, before %d MiB",
		sent.Load()>>20, f.opened.Load(), served, len(flooded.waits), flooded.p99().Round(time.Millisecond), calm.p99().Round(time.Millisecond), after, before)
	d.stop()
}
