package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkReport is one report of 1000 transactions for 1000 applications, read, answered and counted.
func BenchmarkReport(b *testing.B) {
	s := New(Options{})
	var form strings.Builder
	form.WriteString("service_token=stoken1001&service_id=1001")
	changes := make([]ApplicationChange, 1000)
	for i := range changes {
		n := strconv.Itoa(i)
		changes[i] = ApplicationChange{ServiceID: "1001", AppID: "bench" + n}
		form.WriteString("&transactions[" + n + "][app_id]=bench" + n + "&transactions[" + n + "][usage][search]=1" +
			"&transactions[" + n + "][usage][transfer]=512")
	}
	if err := s.PutApplications(changes...); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if w := ask(s, http.MethodPost, "/transactions.xml", form.String()); w.Code != http.StatusAccepted {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
	if s.Calls().DiscardedBatches > 0 {
		b.Fatal("discarded")
	}
}

// BenchmarkAuthrep is one authorized authrep counted.
func BenchmarkAuthrep(b *testing.B) {
	s := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		if w := authorize(s, "authrep", "app_id=app2&usage[hits]=1", ""); w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
