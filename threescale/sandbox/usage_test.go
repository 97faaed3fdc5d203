package sandbox

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules of backend.md section 8 for sets that meet increments in one transaction, which no recording
// holds: hits is the parent of search and other, search of search_deep.
func TestSetsAndIncrementsMeetInAnAncestor(t *testing.T) {
	for _, c := range []struct {
		usage string // METRIC=VALUE, in the order written
		hits  uint64 // afterwards; 100 before
	}{
		{"search=2", 102},
		{"search=%232", 2},
		{"search=2 other=3", 105},
		{"search=2 other=%237", 7},             // an increment, then a set: the ancestor is set
		{"search=%237 other=2", 102},           // a set, then an increment: the set is lost for the ancestor
		{"hits=%239 search=2", 102},            // a set of the parent beside an increment of a child is lost
		{"search=2 hits=%239", 102},            // in either order
		{"search_deep=1 search=1 hits=1", 103}, // each counts for all above it
		{"search_deep=%234", 4},                // a set goes all the way up
		{"hits=%230", 0},                       // a set of 0 removes the counter
		{"hits=%20%235", 100},                  // behind a blank it is taken and does nothing
		{"hits=00", 100},                       // not dropped, adds nothing
		{"hits=%207%20 %20hits%20=1", 101},     // one metric twice: the later one counts
		{"search=3 hits=0", 103},               // exactly 0 is dropped
		{"transfer=99999999999999999999", 100}, // would crash the worker: left out
		{"transfer=9223372036854775807", 100},  // the largest there is
		{"hits=9223372036854775807", 100},      // as an increment it would overflow: left out
		{"hits=%239223372036854775807", 1<<63 - 1},
	} {
		t.Run(c.usage, func(t *testing.T) {
			s := atNoon()
			require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "100")))
			form := "transactions[0][app_id]=app2"
			for _, one := range strings.Fields(c.usage) {
				name, value, _ := strings.Cut(one, "=")
				form += "&transactions[0][usage][" + name + "]=" + value
			}
			require.Equal(t, http.StatusAccepted, report(s, form))
			assert.Equal(t, c.hits, counted(t, s, "app2", "hits"))
			assert.Zero(t, s.Calls().DiscardedBatches)
		})
	}
}

// Thirty singles and one aggregate of one minute leave the same usage counters; response codes differ
// (recording aggregation-equivalence).
func TestAggregateCountsAsSingles(t *testing.T) {
	s := atNoon()
	var singles strings.Builder
	for i := range 30 {
		n := strconv.Itoa(i)
		at := strconv.FormatInt(noon.Truncate(time.Minute).Unix()+int64(i), 10)
		singles.WriteString("&transactions[" + n + "][app_id]=bulk1&transactions[" + n + "][usage][hits]=1&transactions[" + n +
			"][usage][search]=2&transactions[" + n + "][timestamp]=" + at + "&transactions[" + n + "][log][code]=200")
	}
	require.Equal(t, http.StatusAccepted, report(s, singles.String()))
	require.Equal(t, http.StatusAccepted, report(s, hitsOf("bulk2", "30")+
		"&transactions[0][usage][search]=60&transactions[0][log][code]=200"))
	require.NoError(t, s.Settle(t.Context()))
	many, one := s.Counters("1001", "bulk1"), s.Counters("1001", "bulk2")
	assert.Equal(t, many.Metrics, one.Metrics)
	assert.EqualValues(t, 90, many.Metrics["hits"]["minute"]["2026-11-21T12:00:00Z"])
	assert.EqualValues(t, 30, many.Codes["200"]["eternity"][""])
	assert.EqualValues(t, 1, one.Codes["2XX"]["eternity"][""])
	assert.EqualValues(t, 180, s.Counters("1001", "").Metrics["hits"]["day"]["2026-11-21T00:00:00Z"])
}

// Sets of one application come before the next application's, in order of first appearance.
func TestApplicationsAreCountedOneAfterTheOther(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusAccepted, report(s, "transactions[a][app_id]=bulk1&transactions[a][usage][transfer]=%2310"+
		"&transactions[b][app_id]=bulk2&transactions[b][usage][transfer]=5"+
		"&transactions[c][app_id]=bulk1&transactions[c][usage][transfer]=%233"))
	require.NoError(t, s.Settle(t.Context()))
	assert.EqualValues(t, 3, counted(t, s, "bulk1", "transfer"))
	assert.EqualValues(t, 8, s.Counters("1001", "").Metrics["transfer"]["eternity"][""], "3 of bulk1, then 5 of bulk2")
}

// Entries of exactly 0 are gone before the worker looks at metrics.
func TestZeroOfAnUnknownMetricIsNotSeen(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+"&transactions[0][usage][nometric]=0"))
	assert.EqualValues(t, 1, counted(t, s, "app2", "hits"))
}

func TestResponseCodesThatAreCounted(t *testing.T) {
	s := atNoon()
	for _, code := range []string{"200", "201", "302", "404", "418", "503", "100", "99", "2000", "2x0", "%20200", ""} {
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+"&transactions[0][log][code]="+code))
	}
	require.NoError(t, s.Settle(t.Context()))
	totals := map[string]uint64{}
	for code, counters := range s.Counters("1001", "app2").Codes {
		totals[code] = counters["eternity"][""]
	}
	assert.Equal(t, map[string]uint64{"200": 1, "2XX": 2, "404": 1, "4XX": 2, "503": 1, "5XX": 1}, totals)
}

// However usage is spread over transactions, metrics and batches, the totals are the sums up the
// hierarchy.
func TestTotalsAreSums(t *testing.T) {
	s := atNoon()
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"hits", "search", "search_deep", "transfer", "other"}
	want := map[string]uint64{}
	for range 50 {
		form := "transactions[0][app_id]=app2"
		for _, name := range names {
			n := random.Uint64N(5)
			form += "&transactions[0][usage][" + name + "]=" + strconv.FormatUint(n, 10)
			for at := fixtureIndex(name); at >= 0; at = fixtures().service("1001").metrics.metrics[at].parent {
				want[names[at]] += n
			}
		}
		require.Equal(t, http.StatusAccepted, report(s, form))
	}
	require.NoError(t, s.Settle(t.Context()))
	assert.Equal(t, want, s.Usage()["1001"]["app2"])
}
