package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const dashboardsTime = 10 * time.Second // of load for each number of readers

// BenchmarkDashboardReaders prints what a thousand readers of a dashboard, each of which reads a tile once a second, and ten that
// ask and do not read, cost those who send usage: events accepted a second beside them and without them, and the daemon's processor time.
// The baseline is the same thousand and ten at a server of another process that answers each with the same bytes: what is left then is the cost of
// the readers themselves, on the same cores.
func BenchmarkDashboardReaders(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\nevents in requests of 100 by 4 producers for %v; readers of one tile of 80 days, once a second each\n", machine(), dashboardsTime)
		fmt.Fprintf(&text, "%-34s %12s %10s %10s %12s %14s\n", "", "events/s", "reads", "failed", "booked after", "CPU of daemon")
		for range 2 {
			for _, kind := range []string{pollNone, pollBaseline, pollTile, pollUnchanged} {
				text.WriteString(dashboardReaders(b, kind))
			}
		}
		fmt.Println(text.String())
	}
}

// What the readers read.
const (
	pollNone      = "no readers"
	pollBaseline  = "1000 + 10, another process"
	pollTile      = "1000 + 10, the daemon"
	pollUnchanged = "1000 + 10, the daemon, unchanged"
)

func dashboardReaders(b *testing.B, kind string) string {
	s := newSettings(b, sandbox(b).url).set("reader.listen", "127.0.0.1:0").set("reader.max_connections", 2000).set("reader.max_connections_per_address", 2000)
	d := launch(b, s.write(b))
	d.ready()
	reader := d.await("reader")
	made := read[struct{ Token string }](b, mustCall(b, http.StatusOK, http.MethodPut, d.admin+"/api/v1/dashboards/board", json.RawMessage(
		`{"tiles":[{"kind":"line","question":{"question":"service_usage","service":"1001","metric":"hits"}}],"new_token":true}`)))
	path := "/api/v1/dashboards/board/tiles/0?since=80d"
	readers := 1000
	switch kind {
	case pollNone:
		readers = 0
	case pollBaseline:
		first, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+reader+path, nil)
		require.NoError(b, err)
		first.Header.Set("Authorization", "Bearer "+made.Token)
		same, err := do(testClient, first)
		require.NoError(b, err)
		reader = baseline(b, sameHandler, bodyVariable+"="+same.body).await("traffic")
	}
	ctx, cancel := context.WithTimeout(b.Context(), dashboardsTime)
	defer cancel()
	used := d.cpu()
	var all sync.WaitGroup
	var reads, failed, events atomic.Int64
	polling := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	for range readers {
		all.Go(func() {
			tag := ""
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reader+path, nil)
				req.Header.Set("Authorization", "Bearer "+made.Token)
				if tag != "" && kind == pollUnchanged {
					req.Header.Set("If-None-Match", tag)
				}
				switch got, err := polling.Do(req); {
				case err == nil && (got.StatusCode == http.StatusOK || got.StatusCode == http.StatusNotModified):
					_, _ = io.Copy(io.Discard, got.Body)
					_ = got.Body.Close()
					tag = got.Header.Get("ETag")
					reads.Add(1)
				case ctx.Err() == nil:
					if err == nil {
						_ = got.Body.Close()
					}
					failed.Add(1)
				}
				pause(ctx, time.Second)
			}
		})
	}
	stalled := min(readers, 10)
	for range stalled {
		c, err := net.Dial("tcp", reader)
		require.NoError(b, err)
		defer func() { _ = c.Close() }()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, made.Token)
	}
	body, err := json.Marshal(make100())
	require.NoError(b, err)
	producing := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	traffic := d.traffic + "/v1/events"
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				got, err := producing.Post(traffic, "application/json", bytes.NewReader(body))
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, got.Body)
				_ = got.Body.Close()
				if got.StatusCode == http.StatusAccepted {
					events.Add(100)
				}
			}
		})
	}
	all.Wait()
	used = d.cpu() - used
	begun := time.Now()
	d.flush()
	d.booked()
	d.kill()
	return fmt.Sprintf("%-34s %12.0f %10d %10d %12v %14v\n", kind, float64(events.Load())/dashboardsTime.Seconds(), reads.Load(), failed.Load(), time.Since(begun).Round(100*time.Millisecond), used)
}

// BenchmarkPoll prints the daemon's processor time for one read of a tile, with nothing else to do.
func BenchmarkPoll(b *testing.B) {
	linuxOnly(b)
	d := launch(b, newSettings(b, sandbox(b).url).set("reader.listen", "127.0.0.1:0").write(b))
	d.ready()
	reader := d.await("reader")
	made := read[struct{ Token string }](b, mustCall(b, http.StatusOK, http.MethodPut, d.admin+"/api/v1/dashboards/board", json.RawMessage(
		`{"tiles":[{"kind":"line","question":{"question":"service_usage","service":"1001","metric":"hits"}}],"new_token":true}`)))
	for _, unchanged := range []bool{false, true} {
		b.Run(fmt.Sprintf("unchanged=%v", unchanged), func(b *testing.B) {
			tag, used, n := "", d.cpu(), 0
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+reader+"/api/v1/dashboards/board/tiles/0?since=80d", nil)
				require.NoError(b, err)
				req.Header.Set("Authorization", "Bearer "+made.Token)
				if unchanged && tag != "" {
					req.Header.Set("If-None-Match", tag)
				}
				got, err := do(testClient, req)
				require.NoError(b, err)
				tag = got.header.Get("ETag")
				n++
			}
			b.ReportMetric(float64((d.cpu()-used).Microseconds())/float64(n), "daemon-µs/read")
		})
	}
}

func make100() []event {
	all := make([]event, 100)
	for i := range all {
		all[i] = hit("1001", "app1")
	}
	return all
}
