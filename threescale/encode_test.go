package threescale

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goldenReports = map[string]Report{
	"one": {
		ServiceID: "1001", Credentials: Credentials{ServiceToken: "stoken1001"},
		Transactions: []Transaction{{Application: Application{ID: "app1"}, Usage: Usage{{"hits", 1}}, Timestamp: 1795289757}},
	},
	"full": {
		ServiceID: "1001", Credentials: Credentials{ServiceToken: "T+K/=&"},
		Transactions: []Transaction{
			{Application: Application{ID: "a b&c=d%[é]"}, Usage: Usage{{"hits", 1}, {"my metric", MaxValue}}, Timestamp: 1795289757, Code: 200},
			{Application: Application{UserKey: "ukey\r\n\x00~-._"}, Usage: Usage{{"transfer", 1024}}, Timestamp: -5},
			{Application: Application{ID: "empty"}},
		},
	},
	"provider-key": {
		Credentials:  Credentials{ProviderKey: "pkey"},
		Transactions: []Transaction{{Application: Application{ID: "app1"}, Usage: Usage{{"hits", 1}}}},
	},
}

// TestGoldenForms pins the bodies. REPORTERD_GOLDEN=1 writes them anew.
func TestGoldenForms(t *testing.T) {
	for name, report := range goldenReports {
		path := "testdata/golden/report-" + name + ".form"
		got := report.AppendForm(nil)
		if os.Getenv("REPORTERD_GOLDEN") == "1" {
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), name)
	}
}

func TestFormAppendsToWhatIsThere(t *testing.T) {
	report := goldenReports["one"]
	assert.Equal(t, "x"+string(report.AppendForm(nil)), string(report.AppendForm([]byte("x"))))
}

func TestCostIsExact(t *testing.T) {
	for name, report := range goldenReports {
		params, bytes := HeadCost(report.ServiceID, report.Credentials)
		for i := range report.Transactions {
			p, b := report.Transactions[i].FormCost(i)
			params, bytes = params+p, bytes+b
		}
		form := string(report.AppendForm(nil))
		assert.Equal(t, len(form), bytes, name)
		assert.Equal(t, countParams(form), params, name)
	}
	last := Transaction{Application: Application{ID: "a"}, Usage: Usage{{"h", 10}}}
	for _, index := range []int{0, 9, 10, 999, 1000} {
		_, bytes := last.FormCost(index)
		assert.Equal(t, len(fmt.Sprintf("&transactions[%d][app_id]=a&transactions[%d][usage][h]=10", index, index)), bytes)
	}
}

func TestCostAllocatesNothing(t *testing.T) {
	report := goldenReports["full"]
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for i := range report.Transactions {
			report.Transactions[i].FormCost(i)
		}
		HeadCost(report.ServiceID, report.Credentials)
	}))
}

func TestFormInABufferAllocatesNothing(t *testing.T) {
	report := goldenReports["full"]
	buffer := make([]byte, 0, 4096)
	assert.Zero(t, testing.AllocsPerRun(100, func() { report.AppendForm(buffer) }))
}

// TestRecordedReportsAreWrittenAsTheyWere: what canonical clients sent comes out byte for byte.
func TestRecordedReportsAreWrittenAsTheyWere(t *testing.T) {
	for _, name := range []string{"report-1", "report-1000", "report-1001", "report-provider-key-default-service", "report-over-limits"} {
		r := recorded(t, name)
		assert.Equal(t, string(r.Body), string(reread(t, string(r.Body), r.Recorded, false).AppendForm(nil)), name)
	}
}

// reread makes a report of a form. Timestamps that were not sent are left out again.
func reread(t testing.TB, body string, now time.Time, timestamps bool) *Report {
	t.Helper()
	params, err := ReadParams(post("", form, body), ReadOptions{MaxParams: -1, MaxBytes: -1})
	require.NoError(t, err)
	credentials, serviceID, err := ReadCredentials(params, true)
	require.NoError(t, err)
	report := &Report{ServiceID: serviceID, Credentials: credentials}
	list, err := ReadTransactions(params)
	require.NoError(t, err)
	for _, raw := range list {
		transaction, err := raw.Decode(now)
		require.NoError(t, err)
		if !timestamps {
			transaction.Timestamp = 0
		}
		report.Transactions = append(report.Transactions, transaction)
	}
	return report
}

// FuzzFormRoundTrip: what Validate lets through comes out of the backend's parser as it went in.
func FuzzFormRoundTrip(f *testing.F) {
	f.Add("stoken", "1001", "app1", false, "hits", uint64(1), "transfer", uint64(2), int64(0), 200)
	f.Add("a&b=c%", "x[y]", "é\r\n;+ ", true, "m&=%;+", uint64(MaxValue), "b", uint64(0), int64(-3600), 0)
	f.Add("\xff", "\x00", "[app_id]", false, "a[b", uint64(1)<<63, " x ", uint64(7), int64(1<<40), 99)
	f.Fuzz(func(t *testing.T, token, service, app string, byKey bool, m1 string, v1 uint64, m2 string, v2 uint64, age int64, code int) {
		in := Transaction{Application: Application{ID: app}, Usage: Usage{{m1, v1}, {m2, v2}}, Timestamp: someday.Unix() - age, Code: code}
		if byKey {
			in.Application = Application{UserKey: app}
		}
		in.Normalize()
		if in.Validate(someday) != nil || token == "" || service == "" || len(in.Usage) == 0 {
			return
		}
		sent := Report{ServiceID: service, Credentials: Credentials{ServiceToken: token}, Transactions: []Transaction{in, in}}
		got := reread(t, string(sent.AppendForm(nil)), someday, true)
		if got.ServiceID != service || got.Credentials != sent.Credentials {
			t.Fatalf("head of %q came out as %q", sent.AppendForm(nil), got.ServiceID)
		}
		require.Len(t, got.Transactions, 2)
		require.Equal(t, sent.Transactions, got.Transactions)
	})
}

// bulkReport is a report of n transactions of one metric.
func bulkReport(n int) *Report {
	r := &Report{ServiceID: "1001", Credentials: Credentials{ServiceToken: "stoken1001"}}
	for i := range n {
		r.Transactions = append(r.Transactions, Transaction{
			Application: Application{ID: "application-" + strings.Repeat("x", i%8) + fmt.Sprint(i)},
			Usage:       Usage{{"hits", uint64(i)}, {"transfer", uint64(i) << 20}},
			Timestamp:   1795289757,
		})
	}
	return r
}

func BenchmarkAppendForm(b *testing.B) {
	r := bulkReport(1000)
	buffer := r.AppendForm(nil)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = r.AppendForm(buffer[:0])
	}
}

func BenchmarkFormCost(b *testing.B) {
	r := bulkReport(1000)
	b.ReportAllocs()
	for b.Loop() {
		for i := range r.Transactions {
			r.Transactions[i].FormCost(i)
		}
	}
}
