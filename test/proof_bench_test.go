package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkProofs prints how long usage of applications that 3scale has not confirmed waits, with a backend that takes 2 ms.
func BenchmarkProofs(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\none event of each of many unknown applications, a backend that takes 2 ms, flush_interval 1s\n", machine())
		fmt.Fprintf(&text, "%12s %16s %12s %10s %13s %10s %9s\n", "applications", "first delivered", "all", "questions", "questions/s", "CPU", "memory")
		for _, n := range numbers(b, "REPORTERD_APPLICATIONS", 1000, 10_000, 100_000) {
			coldStart(b, n, &text)
		}
		fmt.Fprint(os.Stderr, "\n", text.String())
	}
	b.ReportMetric(0, "ns/op")
}

func coldStart(b *testing.B, n int, text *strings.Builder) {
	backend := baseline(b, allowHandler, delayVariable+"=2ms")
	d := serve(b, newSettings(b, "http://"+backend.await("traffic")).set("batch.flush_interval", "1s"))
	defer backend.kill()
	defer d.kill()
	before, began := d.cpu(), time.Now()
	for sent := 0; sent < n; sent += 1000 {
		d.sendMany(1000, func(i int) string {
			return fmt.Sprintf(`{"service_id":"1001","app_id":"app%d","usage":{"hits":1}}`, sent+i)
		})
	}
	var first time.Duration
	s := d.status()
	for s.Events.Delivered < uint64(n) && time.Since(began) < 5*time.Minute {
		<-time.After(100 * time.Millisecond)
		if s = d.status(); first == 0 && s.Events.Delivered > 0 {
			first = time.Since(began)
		}
	}
	took := time.Since(began)
	memory, _ := d.memory()
	fmt.Fprintf(text, "%12d %16v %12v %10d %13.0f %10v %5.0f MiB\n", n, first.Round(100*time.Millisecond), took.Round(100*time.Millisecond),
		s.Backend.Questions, float64(s.Backend.Questions)/took.Seconds(), (d.cpu() - before).Round(10*time.Millisecond), memory)
}
