package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file go through protocol/backend-2.md, "Reports and jobs", row by row. "row" quotes it.

// manyApplications are so many applications of service 1001, c0 to cN.
func manyApplications(t *testing.T, s *Sandbox, n int) {
	t.Helper()
	changes := make([]ApplicationChange, n)
	for i := range changes {
		changes[i] = ApplicationChange{ServiceID: "1001", AppID: fmt.Sprint("c", i)}
	}
	require.NoError(t, s.PutApplications(changes...))
}

// oneHitEach is a report with one hit for each of so many applications, in order.
func oneHitEach(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&transactions[%d][app_id]=c%d&transactions[%d][usage][hits]=1", i, i, i)
	}
	return b.String()
}

// runs are how often the applications c0 to cN are counted, as runs of the same figure: "400×2 598×1".
func runs(s *Sandbox, n int) string {
	usage := s.Usage()["1001"]
	var text []string
	for i := 0; i < n; {
		hits, from := usage[fmt.Sprint("c", i)]["hits"], i
		for i < n && usage[fmt.Sprint("c", i)]["hits"] == hits {
			i++
		}
		text = append(text, fmt.Sprintf("%d×%d", i-from, hits))
	}
	return strings.Join(text, " ")
}

func faults(t *testing.T, s *Sandbox, body string) {
	t.Helper()
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/faults", body, nil), body)
}

// row: "Written in slices of 400 transactions … worker killed in a job of 1000: 23 all, 14 none, 8 a prefix (381, 399, 799);
// the job is gone without a trace". row: "A job that fails while it is written is run again as a whole every 300 s, at the
// queue's tail; what was written before counts twice". row: "Redis restarting in the middle of a slice: the worker waits
// 5 s and sends the slice again; applications counted twice after one clean 202".
func TestWorkerInTheMiddleOfAJob(t *testing.T) {
	const n = 1000
	for _, c := range []struct {
		fault       string
		first, last string        // counted at once, and an hour later
		late        time.Duration // when that is first seen
	}{
		{``, "1000×1", "1000×1", 0},
		{`,"kill":0`, "1000×0", "1000×0", 0},
		{`,"kill":381`, "381×1 619×0", "381×1 619×0", 0},
		{`,"kill":399`, "399×1 601×0", "399×1 601×0", 0},
		{`,"kill":799`, "799×1 201×0", "799×1 201×0", 0},
		{`,"kill":1000`, "1000×1", "1000×1", 0},
		{`,"fail":0`, "1000×0", "1000×1", 300 * time.Second},
		{`,"fail":219`, "219×1 781×0", "219×2 781×1", 300 * time.Second},
		{`,"fail":684`, "684×1 316×0", "684×2 316×1", 300 * time.Second},
		{`,"fail":10,"rerun":"7s"`, "10×1 990×0", "10×2 990×1", 7 * time.Second},
		{`,"restart":163`, "163×1 837×0", "163×2 837×1", 5 * time.Second},
		{`,"restart":400`, "400×1 600×0", "400×2 600×1", 5 * time.Second},
		{`,"restart":600`, "600×1 400×0", "400×1 200×2 400×1", 5 * time.Second},
		{`,"restart":1000`, "1000×1", "800×1 200×2", 5 * time.Second},
		{`,"restart":0`, "1000×0", "1000×1", 5 * time.Second},
	} {
		t.Run(c.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{})
				manyApplications(t, s, n)
				faults(t, s, `{"worker":{"times":1,"least":2`+c.fault+`}}`)
				require.Equal(t, http.StatusAccepted, report(s, oneHitEach(n)), "one clean 202")
				assert.Equal(t, c.first, runs(s, n))
				if c.late > 0 {
					require.NoError(t, wait(t.Context(), c.late-time.Millisecond))
					assert.Equal(t, c.first, lookedAt(s, n))
					require.NoError(t, wait(t.Context(), time.Millisecond))
				} else {
					require.NoError(t, wait(t.Context(), time.Hour))
				}
				assert.Equal(t, c.last, lookedAt(s, n))
				assert.Empty(t, s.Errors(), "nothing is in the list of errors")
			})
		})
	}
}

// lookedAt is runs after everything that was due is done.
func lookedAt(s *Sandbox, n int) string {
	authorize(s, "authorize", "app_id=app2", "") // lets the worker do what is due, as every call does
	return runs(s, n)
}

// row: "A job that fails … at the queue's tail": what came meanwhile is before it.
func TestAJobIsRunAgainAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		faults(t, s, `{"worker":[{"times":1,"fail":0,"rerun":"10s"}]}`)
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
		require.NoError(t, wait(t.Context(), 9*time.Second))
		faults(t, s, `{"worker":[{"times":1,"delay":"60s"}]}`)
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app1", "1")))
		require.NoError(t, wait(t.Context(), 59*time.Second))
		authorize(s, "authorize", "app_id=app2", "")
		assert.Empty(t, s.Usage(), "the later report is in the worker's hands, the earlier one behind it")
		require.NoError(t, wait(t.Context(), time.Second))
		assert.EqualValues(t, 1, counted(t, s, "app1", "hits"))
		assert.EqualValues(t, 1, counted(t, s, "app2", "hits"))
	})
}

// row: "Delay from 202 to visible in authorize … 100 jobs of 100 waiting: 2.6 s; worker stopped: never".
func TestWorkerIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		faults(t, s, `{"worker":{"delay":"26ms"}}`)
		start := time.Now()
		for range 100 {
			require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
		}
		require.NoError(t, wait(t.Context(), time.Second))
		authorize(s, "authorize", "app_id=app2", "")
		assert.EqualValues(t, 38, s.Usage()["1001"]["app2"]["hits"], "one after the other")
		assert.EqualValues(t, 100, counted(t, s, "app2", "hits"))
		assert.Equal(t, 2600*time.Millisecond, time.Since(start))

		faults(t, s, `{"worker":{"stop":true}}`)
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
		require.NoError(t, wait(t.Context(), 30*time.Minute))
		assert.EqualValues(t, 100, counted(t, s, "app2", "hits"), "and no report waits for it")
		var shown struct{ Worker []map[string]any }
		require.Equal(t, http.StatusOK, control(t, s, http.MethodGet, "/sandbox/faults", "", &shown))
		assert.Equal(t, []map[string]any{{"stop": true}}, shown.Worker)
		faults(t, s, `{}`)
		assert.EqualValues(t, 101, counted(t, s, "app2", "hits"))
	})
}

// Timestamps are compared with the clock at which a stopped worker goes on.
func TestStoppedWorkerJudgesWhenItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		faults(t, s, `{"worker":{"stop":true,"service_id":"1001"}}`)
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+unix(time.Now().Add(-23*time.Hour))))
		require.NoError(t, wait(t.Context(), time.Hour+time.Second))
		faults(t, s, `{}`)
		assert.Zero(t, counted(t, s, "app2", "hits"))
		require.Len(t, s.Errors(), 1)
		assert.Equal(t, time.Now().UTC(), s.Errors()[0].At)
	})
}

// row: "a client that leaves while Redis stalls, or a proxy that holds the request for a stalled listener: 6 of 6 and 24 of
// 24 landed later". row: "One FIFO list … up to 13 later ones are seen first".
func TestReportsLandLate(t *testing.T) {
	for _, late := range []time.Duration{time.Second, 6 * time.Second, 300 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Options{})
			faults(t, s, fmt.Sprintf(`{"report":{"times":1,"close":true,"landed":true,"late":%q}}`, late))
			assert.Zero(t, outcome(func() int { return report(s, hitsOf("app2", "1")) }), "no answer")
			for range 13 {
				require.Equal(t, http.StatusAccepted, report(s, hitsOf("app1", "1")))
			}
			require.NoError(t, wait(t.Context(), late-time.Millisecond))
			assert.EqualValues(t, 13, counted(t, s, "app1", "hits"), "later ones are seen first")
			assert.Zero(t, counted(t, s, "app2", "hits"))
			require.NoError(t, wait(t.Context(), time.Millisecond))
			assert.EqualValues(t, 1, counted(t, s, "app2", "hits"))
		})
	}
}

// row: "An application, metric or user key deleted (rotated) upstream voids every report it is in, from about 60 s after the
// deletion on". row: "Applications, limits, metrics are cached 60 s", by each process for itself.
func TestDeletionVoidsWhenItIsNoticed(t *testing.T) {
	const memories = `{"backend":{"negative_cache":"60s","positive_cache":"60s","workers":2,"listeners":2}}`
	rotated := "rotated"
	for name, c := range map[string]struct {
		report string
		change func(*Sandbox) error
	}{
		"application": {hitsOf("bulk1", "1"), func(s *Sandbox) error {
			return s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "bulk1", State: "deleted"})
		}},
		"metric": {"transactions[0][app_id]=bulk1&transactions[0][usage][other]=1", func(s *Sandbox) error {
			return s.PutServices(ServiceChange{ID: "1001", DeletedMetrics: []string{"other"}})
		}},
		"user key": {"transactions[0][user_key]=uk&transactions[0][usage][hits]=1", func(s *Sandbox) error {
			return s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "keyed", UserKey: &rotated})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{})
				key := "uk"
				require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "keyed", UserKey: &key}))
				faults(t, s, memories)
				together := c.report + "&transactions[1][app_id]=app2&transactions[1][usage][hits]=1"
				var steps []uint64
				step := func() {
					for range 2 { // one for each worker
						require.Equal(t, http.StatusAccepted, report(s, together), "one clean 202")
					}
					steps = append(steps, counted(t, s, "app2", "hits"))
				}
				step()
				require.NoError(t, c.change(s))
				step()
				require.NoError(t, wait(t.Context(), 59*time.Second))
				step()
				require.NoError(t, wait(t.Context(), time.Second))
				step()
				assert.Equal(t, []uint64{2, 4, 6, 6}, steps, "the neighbour's units are acknowledged, and not counted")
			})
		})
	}
}

// row: "A new application or metric is seen by every process after 60 s": until then it depends on which process is asked.
func TestProcessesRememberEachForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		faults(t, s, `{"backend":{"negative_cache":"60s","listeners":2}}`)
		status := func() int { return authorize(s, "authorize", "app_id=new", "").Code }
		assert.Equal(t, http.StatusNotFound, status())
		require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "new"}))
		assert.Equal(t, []int{200, 404, 200, 404}, []int{status(), status(), status(), status()})
		require.NoError(t, wait(t.Context(), time.Minute))
		assert.Equal(t, []int{200, 200}, []int{status(), status()})
	})
}

// row: "No Date header; the backend's clock shows in authorize's usage reports (period start and end) and in refusals of
// timestamps".
func TestBackendHasAClockOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		period := func() string {
			w := authorize(s, "authorize", "app_id=applim", "")
			assert.Empty(t, w.Header().Values("Date"))
			return w.Body.String()
		}
		now := time.Now().UTC()
		assert.Contains(t, period(), now.Format("<period_start>2006-01-02"))
		for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour, -25 * time.Hour} {
			faults(t, s, fmt.Sprintf(`{"backend":{"clock":%q}}`, ahead))
			assert.Contains(t, period(), now.Add(ahead).Format("<period_start>2006-01-02"))
			before := counted(t, s, "app2", "hits")
			require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+unix(now)))
			taken := ahead >= -time.Hour
			assert.Equal(t, taken, counted(t, s, "app2", "hits") > before, "%v", ahead)
		}
		faults(t, s, `{"backend":{"clock":"2h","date":true}}`)
		assert.Equal(t, now.Add(2*time.Hour).Format(http.TimeFormat), authorize(s, "authorize", "app_id=app2", "").Header().Get("Date"))
	})
}

func TestWorkerFaultsThatMeanNothingAreRefused(t *testing.T) {
	s := atNoon()
	for _, body := range []string{
		`{"worker":{"kill":1,"fail":2}}`, `{"worker":{"kill":-1}}`, `{"worker":{"delay":"-1s"}}`, `{"worker":{"rerun":"-1s"}}`,
		`{"worker":{"times":-1}}`, `{"worker":{"least":-1}}`, `{"worker":{"chance":2}}`, `{"worker":{"killed":1}}`,
		`{"backend":{"workers":-1}}`, `{"backend":{"listeners":65}}`, `{"backend":{"negative_cache":"-1s"}}`, `{"report":{"late":"-1s"}}`,
	} {
		assert.Equal(t, http.StatusBadRequest, control(t, s, http.MethodPut, "/sandbox/faults", body, nil), body)
	}
}

// row: "Checking is all or nothing: 9 faults × first, middle, last of 1000 transactions: 27 of 27 count nothing, one stored
// error, the job is not run again".
func TestCheckingIsAllOrNothing(t *testing.T) {
	const n = 1000
	for _, bad := range []string{
		"[app_id]=nosuch&%[usage][hits]=1", "[user_key]=nosuch&%[usage][hits]=1", "[usage][hits]=1", "[app_id]=c1&%[user_key]=u&%[usage][hits]=1",
		"[app_id]=c1&%[usage][nosuch]=1", "[app_id]=c1&%[usage][hits]=-1", "[app_id]=c1&%[usage][hits]=",
		"[app_id]=c1&%[usage][hits]=1&%[timestamp]=1", "[app_id]=c1&%[usage][hits]=1&%[timestamp]=99999999999",
	} {
		for _, at := range []int{0, n / 2, n - 1} {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{})
				manyApplications(t, s, n)
				one := fmt.Sprintf("transactions[%d]", at)
				form := oneHitEach(n)
				old := fmt.Sprintf("%s[app_id]=c%d&%s[usage][hits]=1", one, at, one)
				require.Contains(t, form, old)
				form = strings.Replace(form, old, one+strings.ReplaceAll(bad, "%", one), 1)
				require.Equal(t, http.StatusAccepted, report(s, form))
				require.NoError(t, wait(t.Context(), time.Hour))
				assert.Equal(t, "1000×0", lookedAt(s, n), "%s at %d", bad, at)
				assert.Len(t, s.Errors(), 1)
			})
		}
	}
}

// rows: "A metric shows a counter only where the application has a limit on it; eternity limits are exact up to 2^62". "a
// top-level metric does not move hits".
func TestCountersAreReadExactly(t *testing.T) {
	s := atNoon()
	require.NoError(t, s.PutServices(ServiceChange{ID: "1001", Metrics: []Metric{{Name: "r0"}, {Name: "r1"}}}))
	limits := []Limit{{Metric: "r0", Period: "eternity", Max: 1 << 62}}
	require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "receipt", Limits: &limits}))
	var sum uint64
	for _, value := range []uint64{1<<53 + 1, 1<<62 - 1} {
		require.Equal(t, http.StatusAccepted, report(s, fmt.Sprintf(
			"transactions[0][app_id]=receipt&transactions[0][usage][r0]=%d&transactions[0][usage][r1]=1", value-sum)))
		sum = value
		require.NoError(t, s.Settle(t.Context()))
		body := authorize(s, "authorize", "app_id=receipt", "").Body.String()
		assert.Contains(t, body, fmt.Sprintf("<current_value>%d</current_value>", value))
		assert.NotContains(t, body, "r1")
	}
	assert.Zero(t, counted(t, s, "receipt", "hits"))
}
