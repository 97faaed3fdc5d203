package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	floodVariable = "REPORTERD_FLOOD"

	floodProducers = 8
	floodTime      = 700 * time.Millisecond // with and without, by default
)

// flood is what those do who mean no good: connections that dribble a request and never end it, bodies too large,
// bodies that are nothing.
type flood struct {
	address string
	opened  atomic.Int64
	refused atomic.Int64 // answers to bad bodies
	running sync.WaitGroup
}

// begin keeps so many slow connections open, and sends bad bodies beside them, until ctx ends.
func (f *flood) begin(ctx context.Context, slow int) {
	for range slow {
		f.running.Go(func() { f.dribble(ctx) })
	}
	for _, body := range []string{
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n" + strings.Repeat("[", 4096),
		"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\":[[[}",
		"POST /transactions.xml HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\ntransactions",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n",
		"GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.running.Go(func() { f.spoil(ctx, body) })
	}
}

// dribble sends a header a byte at a time, and begins anew when it is cut off.
func (f *flood) dribble(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", f.address)
		if err != nil {
			pauseIn(ctx, 100*time.Millisecond)
			continue
		}
		f.opened.Add(1)
		_, err = conn.Write([]byte("POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		for err == nil && ctx.Err() == nil {
			pauseIn(ctx, time.Second)
			_, err = conn.Write([]byte("x"))
		}
		_ = conn.Close()
	}
}

// spoil sends one bad request after the other.
func (f *flood) spoil(ctx context.Context, request string) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", f.address)
		if err != nil {
			pauseIn(ctx, 100*time.Millisecond)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = conn.Write([]byte(request))
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if answer.StatusCode >= 400 {
				f.refused.Add(1)
			}
			_ = answer.Body.Close()
		}
		_ = conn.Close()
		pauseIn(ctx, 10*time.Millisecond)
	}
}

func pauseIn(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// behaved are the requests of producers who mean well.
type behaved struct {
	waits  []time.Duration
	failed []string
	took   time.Duration
}

func (b *behaved) perSecond() float64 { return float64(len(b.waits)) / b.took.Seconds() }

func (b *behaved) p99() time.Duration {
	slices.Sort(b.waits)
	return b.waits[len(b.waits)*99/100]
}

// produceWell sends events, one a request, from some producers for a while.
func produceWell(t *testing.T, d *daemon, long time.Duration) *behaved {
	t.Helper()
	all, mu := &behaved{}, sync.Mutex{}
	begun := time.Now()
	var running sync.WaitGroup
	for range floodProducers {
		running.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			for time.Since(begun) < long {
				at := time.Now()
				got, err := call(client, http.MethodPost, d.traffic+"/v1/events", "application/json", []byte(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`))
				mu.Lock()
				all.waits = append(all.waits, time.Since(at))
				if err != nil || got.status != http.StatusAccepted {
					all.failed = append(all.failed, fmt.Sprint(got.status, err))
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	all.took = time.Since(begun)
	return all
}

// peak is the most memory a process ever had resident, in MiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return kib >> 10
		}
	}
	return 0
}

// TestFlood: while thousands hold connections without ever finishing a request, and others send what cannot be read,
// producers who mean well get their answers.
func TestFlood(t *testing.T) {
	slow, long := 400, floodTime
	if number(t, floodVariable, 0) > 0 {
		slow, long = 10_000, 10*time.Second
	}
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("limits.max_connections", slow*4/5))
	calm := produceWell(t, d, long)
	before := peak(t, d.cmd.Process.Pid)

	ctx, end := context.WithCancel(t.Context())
	f := &flood{address: strings.TrimPrefix(d.traffic, "http://")}
	f.begin(ctx, slow)
	eventually(t, 30*time.Second, "the connections are there", func() bool { return f.opened.Load() >= int64(slow) })
	flooded := produceWell(t, d, long)
	after := peak(t, d.cmd.Process.Pid)
	text := metrics(d)
	end()
	f.running.Wait()

	require.Empty(t, calm.failed)
	assert.Empty(t, flooded.failed, "nobody who means well is turned away")
	assert.Positive(t, f.refused.Load(), "bad bodies are answered")
	assert.NotContains(t, text, "\nreporterd_connections_closed_total{reason=\"crowded\"} 0\n", "those who only hold connections make room")
	assert.Less(t, flooded.p99(), 2*time.Second)
	// A daemon under the race detector takes several times what the plain one does.
	assert.Less(t, after-before, 192+slow/20, "MiB more, at most")
	t.Logf("%d slow connections (%d opened), %d bad requests answered: %.0f requests/s, p99 %v; without them %.0f requests/s, p99 %v; memory at most %d MiB, before %d MiB",
		slow, f.opened.Load(), f.refused.Load(), flooded.perSecond(), flooded.p99().Round(time.Millisecond), calm.perSecond(), calm.p99().Round(time.Millisecond), after, before)
	d.stop()
}
