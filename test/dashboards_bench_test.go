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
// ask and do not read, cost those who send usage: events accepted a second beside them and without them.
func BenchmarkDashboardReaders(b *testing.B) {
	for b.Loop() {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\nevents in requests of 100 by 4 producers for %v; readers of one tile of 80 days, once a second each\n", machine(), dashboardsTime)
		fmt.Fprintf(&text, "%8s %8s %12s %10s %10s %12s\n", "readers", "stalled", "events/s", "reads", "failed", "booked after")
		for _, readers := range []int{0, 1000, 0, 1000} {
			text.WriteString(dashboardReaders(b, readers))
		}
		fmt.Println(text.String())
	}
}

func dashboardReaders(b *testing.B, readers int) string {
	s := newSettings(b, sandbox(b).url).set("reader.listen", "127.0.0.1:0").set("reader.max_connections", 2000).set("reader.max_connections_per_address", 2000)
	d := launch(b, s.write(b))
	d.ready()
	reader := d.await("reader")
	made := read[struct{ Token string }](b, mustCall(b, http.StatusOK, http.MethodPut, d.admin+"/api/v1/dashboards/board", json.RawMessage(
		`{"tiles":[{"kind":"line","question":{"question":"service_usage","service":"1001","metric":"hits"}}],"new_token":true}`)))
	ctx, cancel := context.WithTimeout(b.Context(), dashboardsTime)
	defer cancel()
	var all sync.WaitGroup
	var reads, failed, events atomic.Int64
	polling := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	path := "/api/v1/dashboards/board/tiles/0?since=80d"
	for range readers {
		all.Go(func() {
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reader+path, nil)
				req.Header.Set("Authorization", "Bearer "+made.Token)
				switch got, err := polling.Do(req); {
				case err == nil && got.StatusCode == http.StatusOK:
					_, _ = io.Copy(io.Discard, got.Body)
					_ = got.Body.Close()
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
	begun := time.Now()
	d.flush()
	d.booked()
	return fmt.Sprintf("%8d %8d %12.0f %10d %10d %12v\n", readers, stalled, float64(events.Load())/dashboardsTime.Seconds(), reads.Load(), failed.Load(), time.Since(begun).Round(100*time.Millisecond))
}

func make100() []event {
	all := make([]event, 100)
	for i := range all {
		all[i] = hit("1001", "app1")
	}
	return all
}
