package authorize

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// sink is a journal that keeps nothing.
type sink struct{}

func (sink) Append(context.Context, []event.Event) (int, error) { return 0, nil }

// heap is what is allocated and used.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// warm returns an Authorizer that knows n applications, how much memory it takes for each, their ids, and a call that asks about one.
func warm(b testing.TB, n int, authrep bool) (a *Authorizer, each float64, ids []string, r *reply) {
	s := sandbox.New(sandbox.Options{})
	key := []string{"key"}
	changes := make([]sandbox.ApplicationChange, n)
	ids = make([]string, n)
	for i := range changes {
		ids[i] = "bench" + strconv.Itoa(i)
		changes[i] = sandbox.ApplicationChange{ServiceID: "1001", AppID: ids[i], Keys: &key}
	}
	require.NoError(b, s.PutApplications(changes...))
	client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend", Transport: &backend{handler: s}})
	require.NoError(b, err)
	before := heap()
	a, _ = worldOptions{Options: Options{
		TTL: 24 * 3600e9, DenyTTL: DefaultDenyTTL, MaxEntries: 2*n + 1000, MaxBytes: 1 << 40,
		Services: configured, Client: client, Journal: sink{},
	}}.new()
	r = &reply{}
	r.authrep = authrep
	req := httptest.NewRequest("GET", "/transactions/authorize.xml?service_token=stoken1001&service_id=1001&app_key=key&usage[search]=1", nil)
	require.NoError(b, a.read(&r.call, req))
	for _, id := range ids {
		r.application.ID = id
		a.answer(b.Context(), r)
		require.Empty(b, r.code)
		require.Nil(b, r.err)
		r.again()
	}
	each = float64(heap()-before) / float64(n)
	runtime.KeepAlive(s)
	runtime.KeepAlive(changes)
	return a, each, ids, r
}

// again clears what a decision left in r, and keeps the question.
func (r *reply) again() {
	r.code, r.reason, r.err, r.booked = "", "", nil, nil
	w := &r.weighing
	w.Reports, w.Usage, w.Exceeded = w.Reports[:0], w.Usage[:0], false
}

// chunk is how many decisions are timed together; the fastest chunk is what a decision takes while nothing else runs on the machine.
const chunk = 1000

// BenchmarkDecision is one decision from memory: the keyed hash, the look, the limits (four of them, three
// metrics deep), and with authrep the reservation. What HTTP and XML cost comes on top.
func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		for _, authrep := range []bool{false, true} {
			b.Run(fmt.Sprintf("applications=%d/authrep=%v", n, authrep), func(b *testing.B) {
				a, each, _, r := warm(b, n, authrep)
				id := append(make([]byte, 0, 32), "bench"...)
				b.ReportAllocs()
				b.ResetTimer()
				least, begun := time.Hour, time.Now()
				for i := range b.N {
					if i > 0 && i%chunk == 0 {
						least, begun = min(least, time.Since(begun)), time.Now()
					}
					r.again()
					id = strconv.AppendInt(id[:len("bench")], int64(i*7919%n), 10)
					r.application.ID = unsafe.String(&id[0], len(id)) // as in a call, whose text is in the cache
					r.key = a.digest(&r.call)
					r.finding = a.look(b.Context(), &r.call)
					if !a.decide(r) || r.code != "" {
						b.Fatal(r.reason)
					}
				}
				if least < time.Hour {
					b.ReportMetric(float64(least)/chunk, "least-ns/op")
				}
				b.ReportMetric(each, "heap-B/application")
			})
		}
	}
}

// record stands for what a cache would keep of an application: as many bytes as a decision reads.
type record struct {
	words [64]uint64
}

// BenchmarkRecall is the baseline of BenchmarkDecision: the same keyed hash, a map from it, and the bytes found
// there added up. It decides nothing; spread over many applications it shows what the memory takes.
func BenchmarkRecall(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("applications=%d", n), func(b *testing.B) {
			a, _ := worldOptions{Options: Options{Services: configured}}.new()
			r := &reply{}
			require.NoError(b, a.read(&r.call, httptest.NewRequest("GET", "/?service_token=stoken1001&service_id=1001&app_key=key&usage[search]=1", nil)))
			ids, before := make([]string, n), heap()
			known := make(map[digest]*record)
			for i := range ids {
				ids[i] = "bench" + strconv.Itoa(i)
				r.application.ID = ids[i]
				known[a.digest(&r.call)] = &record{}
			}
			each := float64(heap()-before) / float64(n)
			sum := uint64(0)
			b.ResetTimer()
			for i := range b.N {
				r.application.ID = ids[i*7919%n]
				for _, w := range known[a.digest(&r.call)].words {
					sum += w
				}
			}
			b.ReportMetric(each, "heap-B/application")
			if sum != 0 {
				b.Fatal("nothing was written there")
			}
		})
	}
}

// BenchmarkHandler is a whole call, without a connection.
func BenchmarkHandler(b *testing.B) {
	for _, call := range []string{"authorize", "authrep"} {
		b.Run(call, func(b *testing.B) {
			a, _, _, _ := warm(b, 1, false)
			h := a.Handler("GET", "/transactions/"+call+".xml")
			req := httptest.NewRequest("GET", "/transactions/"+call+".xml?service_token=stoken1001&service_id=1001&app_id=bench0&app_key=key&usage[hits]=1", nil)
			b.ReportAllocs()
			for range b.N {
				w := discard{}
				h.ServeHTTP(&w, req)
				if w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	}
}
