package sandbox

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

func newClient(t *testing.T, s *Sandbox, timeout time.Duration) *threescale.Client {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := threescale.NewClient(threescale.ClientOptions{URL: server.URL, Timeout: timeout})
	require.NoError(t, err)
	t.Cleanup(c.CloseIdle)
	return c
}

// oneHit is a report of one hit, named so that nothing in it survives by luck.
func oneHit(application threescale.Application) *threescale.Report {
	return &threescale.Report{
		ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"},
		Transactions: []threescale.Transaction{{
			Application: application, Usage: threescale.Usage{{Metric: "search", Value: 1}, {Metric: "transfer", Value: 512}},
			Timestamp: noon.Unix(), Code: 200,
		}},
	}
}

func TestClientReportsAndAuthorizes(t *testing.T) {
	s := atNoon()
	c := newClient(t, s, time.Minute)
	const odd = "a&b=c [d] é+%"
	require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: odd, UserKey: new("k+&é")}))
	for _, application := range []threescale.Application{{ID: odd}, {UserKey: "k+&é"}} {
		answer, err := c.Report(t.Context(), oneHit(application))
		require.NoError(t, err)
		assert.Equal(t, http.StatusAccepted, answer.Status)
	}
	flat := oneHit(threescale.Application{ID: odd})
	flat.FlatUsage = true
	_, err := c.Report(t.Context(), flat)
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context()))
	assert.Equal(t, map[string]uint64{"hits": 2, "search": 3, "transfer": 1536}, s.Usage()["1001"][odd])

	a, err := c.AuthRep(t.Context(), &threescale.AuthorizeCall{
		ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"}, Application: threescale.Application{ID: odd},
		Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Options: threescale.Options{LimitHeaders: true, Hierarchy: true},
	})
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, a.Status)
	assert.EqualValues(t, 9_999_997, a.Limits.Remaining)
	require.NotNil(t, a.Verdict)
	assert.EqualValues(t, 3, a.Verdict.UsageReports[0].CurrentValue)
	assert.Equal(t, []string{"search", "other"}, a.Verdict.Hierarchy[0].Children)
}

// What the client makes of a failure, and whether it had landed: an answer that did not arrive is ambiguous in both
// cases.
func TestClientMeetsFaults(t *testing.T) {
	timeouts := map[string]time.Duration{"closed": time.Minute, "too late": 200 * time.Millisecond}
	for name, fault := range map[string]Fault{
		"closed":   {Close: true},
		"too late": {Status: 504, Delay: Duration(time.Minute)},
	} {
		for _, landed := range []bool{false, true} {
			s := atNoon()
			fault.Landed = landed
			require.NoError(t, s.SetFaults(Faults{Report: list[Fault]{fault}}))
			_, err := newClient(t, s, timeouts[name]).Report(t.Context(), oneHit(threescale.Application{ID: "app2"}))
			var lost *threescale.TransportError
			require.True(t, errors.As(err, &lost), "%s: %v", name, err)
			assert.True(t, lost.Written, name)
			assert.Equal(t, landed, counted(t, s, "app2", "search") == 1, name)
		}
	}
}
