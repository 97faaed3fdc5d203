package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// eventsBody is an array of n small events over ten applications.
func eventsBody(n int) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"service_id":"1001","app_id":"app%d","usage":{"hits":1,"transfer":%d}}`, i%10, 512+i)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

// plainEvent is what a handler without a scanner would give to encoding/json.
type plainEvent struct {
	ServiceID    string            `json:"service_id"`
	AppID        string            `json:"app_id"`
	UserKey      string            `json:"user_key"`
	Usage        map[string]uint64 `json:"usage"`
	Timestamp    *time.Time        `json:"timestamp"`
	ResponseCode int               `json:"response_code"`
	ID           string            `json:"id"`
}

// BenchmarkDecode reads arrays of 100 events: with the scanner, with the reference decoder alone, and as a plain
// json.Unmarshal into a struct, which validates nothing.
func BenchmarkDecode(b *testing.B) {
	body := eventsBody(100)
	decode := func(slow bool) func(*testing.B) {
		return func(b *testing.B) {
			d := &decoder{body: body, slow: slow}
			for b.Loop() {
				d.reset(testServices, moment, 1000)
				if err := d.decode(); err != nil || len(d.events) != 100 {
					b.Fatal(err, len(d.events))
				}
			}
			perEvent(b, 100, len(body))
		}
	}
	b.Run("scanner", decode(false))
	b.Run("reference", decode(true))
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			var events []plainEvent
			if err := json.Unmarshal(body, &events); err != nil || len(events) != 100 {
				b.Fatal(err, len(events))
			}
		}
		perEvent(b, 100, len(body))
	})
}

func perEvent(b *testing.B, events, bytes int) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
}
