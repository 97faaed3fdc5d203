package partition

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// outageVariable makes the test as large as it says: services x applications of each, 10000x100 in make soak.
const outageVariable = "REPORTERD_OUTAGE"

// absentBackend is a backend that cannot be reached for a while. It knows every application, takes 2 ms for a question, and for
// a report 5 ms and 0.3 ms for each transaction.
type absentBackend struct {
	mu           sync.Mutex // guards what follows
	away         bool
	refused      int // calls while it was away
	questions    int
	reports      int
	transactions int
}

const allowed = `<?xml version="1.0" encoding="UTF-8"?><status><authorized>true</authorized><plan>Basic</plan></status>`

// RoundTrip implements http.RoundTripper.
func (b *absentBackend) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	away := b.away
	if away {
		b.refused++
	}
	b.mu.Unlock()
	if away {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	a := &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/vnd.3scale-v2.0+xml"}}}
	if r.Method == http.MethodGet {
		<-time.After(2 * time.Millisecond)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.questions++
		a.Body = io.NopCloser(strings.NewReader(allowed))
		return a, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n := strings.Count(string(body), "[app_id]") + strings.Count(string(body), "%5Bapp_id%5D")
	<-time.After(5*time.Millisecond + time.Duration(n)*300*time.Microsecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports++
	b.transactions += n
	a.StatusCode, a.Body = http.StatusAccepted, http.NoBody
	return a, nil
}

// outageSample is what stood at one moment.
type outageSample struct {
	pending uint64
	batches int
	absentBackendCounts
}

type absentBackendCounts struct{ refused, questions, reports, transactions int }

func (b *absentBackend) counts() absentBackendCounts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return absentBackendCounts{b.refused, b.questions, b.reports, b.transactions}
}

// longOutage is a partition with many services, and its backend.
type longOutage struct {
	*testing.T
	p                      *Partition
	backend                *absentBackend
	services, applications int
	seconds                int // of usage so far
}

// outageEvery is how often each service has an event, in seconds: each of its applications in turn.
const outageEvery = 6

// use lets seconds pass in which there is usage.
func (o *longOutage) use(seconds int) {
	for range seconds {
		events := make([]event.Event, 0, o.services/outageEvery+1)
		for i := o.seconds % outageEvery; i < o.services; i += outageEvery {
			events = append(events, event.Event{ServiceID: fmt.Sprint(i), Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprint("app", (i+o.seconds/outageEvery)%o.applications)},
				Usage:       threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
			}})
		}
		if len(events) > 0 {
			_, err := o.p.Append(o.Context(), events)
			require.NoError(o, err)
		}
		o.seconds++
		<-time.After(time.Second)
	}
}

func (o *longOutage) sample() outageSample {
	return outageSample{o.p.Pending(), o.p.spool.Live(), o.backend.counts()}
}

// heap is the memory in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestOutageOfAnHour has a backend that is away for an hour, longer than proofs last, and prints how what waited leaves.
func TestOutageOfAnHour(t *testing.T) {
	services, applications, away := 60, 10, 10*time.Minute
	if size := os.Getenv(outageVariable); size != "" {
		_, err := fmt.Sscanf(size, "%dx%d", &services, &applications)
		require.NoError(t, err, outageVariable)
		away = time.Hour
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := &longOutage{T: t, backend: &absentBackend{}, services: services, applications: applications}
		o.open(dir)
		o.use(120)
		before, memory := o.sample(), heap()
		o.backend.set(true)
		o.use(int(away.Seconds()))
		during, full := o.sample(), heap()
		t.Logf("%d services of %d applications, an event of each service every %d s, away for %v", services, applications, outageEvery, away)
		t.Logf("at its end: %d events in %d batches, %d calls were tried, %.0f bytes of memory for each batch",
			during.pending, during.batches, during.refused, max(0, float64(full)-float64(memory))/float64(during.batches))
		if services >= 1000 { // few services have their calls made at once, and need not save any
			assert.LessOrEqual(t, during.batches, services*(int(away.Minutes())+20), "about one for each service and minute")
		}
		assert.Less(t, during.refused, int(away.Seconds())/3+2*services, "a backend that is away is hardly called")
		o.backend.set(false)
		began, accepted := time.Now(), o.p.spool.Counts().Accepted
		after := o.drain(during)
		t.Logf("drained after %v: %d reports of %.1f transactions, %d questions", time.Since(began), after.reports-during.reports,
			float64(after.transactions-during.transactions)/float64(after.reports-during.reports), after.questions-during.questions)
		meanwhile := int(o.p.spool.Counts().Accepted - accepted)
		assert.LessOrEqual(t, after.reports-during.reports, during.batches+services+meanwhile, "each batch is reported once")
		assert.LessOrEqual(t, after.questions-before.questions, 2*services*applications)
		c := o.p.spool.Counts()
		assert.Equal(t, c.Accepted, c.Delivered, "%+v", c)
		require.NoError(t, o.p.Stop(t.Context()))
		require.NoError(t, o.p.Close(true))
	})
}

func (b *absentBackend) set(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// drain waits until everything is delivered, with usage as before meanwhile, for an hour at most. It prints a curve.
func (o *longOutage) drain(last outageSample) outageSample {
	for second := 1; second <= 3600; second++ {
		o.use(1)
		now := o.sample()
		if now.pending < uint64(o.services) {
			break
		}
		if second%10 == 0 {
			o.Logf("%5d s: %9d events in %7d batches wait; %6.0f reports, %6.0f questions a second", second, now.pending, now.batches,
				float64(now.reports-last.reports)/10, float64(now.questions-last.questions)/10)
			last = now
		}
	}
	for range 120 { // the rest, without more usage
		if o.p.Pending() == 0 {
			break
		}
		<-time.After(time.Second)
	}
	synctest.Wait()
	return o.sample()
}

func (o *longOutage) open(dir string) {
	client := threescale.ClientOptions{URL: "http://backend.example", Transport: o.backend, Timeout: 10 * time.Second}
	services := make([]event.Service, o.services)
	for i := range services {
		services[i] = event.Service{ID: fmt.Sprint(i), Credentials: threescale.Credentials{ServiceToken: "t"}}
	}
	p, err := Open(Options{
		Dir: dir, Log: zap.NewNop(), Services: services,
		Spool:   spool.Options{Dir: dir + "/spool", Sync: spool.Never, DedupeWindow: time.Minute},
		Batcher: batcher.Options{FlushInterval: 5 * time.Second, MaxInterval: 20 * time.Second, Aggregate: true},
		Proof:   ProofOptions{Life: 30 * time.Minute, NegativeCache: time.Minute, ProbeRate: 5000},
		Reports: client, Authorizations: client, Probes: client,
	})
	require.NoError(o, err)
	require.NoError(o, p.Start(o.Context()))
	o.p = p
}
