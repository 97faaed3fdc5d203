package authorize

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale/recording"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// explained are recordings that are answered in another way than the backend does, and why.
var explained = map[string]string{
	"auth-missing-service-id":       "422 becomes 403: clients do not survive it (clients.md, section 4)",
	"auth-user-id":                  "400 becomes 403",
	"auth-usage-array-and-hash":     "400 becomes 403",
	"auth-invalid-percent":          "400 becomes 403",
	"auth-invalid-utf8":             "422 becomes 403",
	"reason-not-escaped":            "the reason is escaped: clients need well-formed XML",
	"authrep-leading-bracket-usage": "ruby's [usage][hits] is understood, and counted",
}

// seriesOfLimits were recorded one after the other, and depend on what was counted before.
var seriesOfLimits = []string{
	"limits-authorize-fresh", "limits-authrep-9-of-10", "limits-authrep-1-more-ok", "limits-authorize-no-usage-at-limit",
	"limits-authorize-usage1-at-limit", "limits-authorize-usage-other-metric", "limits-authorize-child-flat-usage",
	"limits-report-over", "limits-authorize-exceeded", "limits-authorize-exceeded-other-metric",
}

func authorization(rec *recording.Recording) bool {
	target, _, _ := strings.Cut(rec.Target, "?")
	return (rec.Method == http.MethodGet || rec.Method == http.MethodHead) &&
		(strings.Contains(target, "/transactions/auth") || strings.Contains(target, "/transactions/oauth_"))
}

// difference compares two answers in everything a client sees.
func difference(want, have got) string {
	var b strings.Builder
	if want.status != have.status {
		b.WriteString("status " + http.StatusText(want.status) + " / " + http.StatusText(have.status) + "\n")
	}
	for _, h := range []string{
		"Content-Type", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Content-Security-Policy", "X-Content-Type-Options",
		"3scale-Rejection-Reason", "3scale-Limit-Remaining", "3scale-Limit-Reset", "3scale-Limit-Max-Value", "Content-Length",
	} {
		if w, g := field(want.header, h), field(have.header, h); w != g {
			b.WriteString(h + ": " + w + " / " + g + "\n")
		}
	}
	if want.body != have.body {
		b.WriteString("body:\n" + want.body + "\n" + have.body + "\n")
	}
	return b.String()
}

func field(h http.Header, name string) string {
	for n, v := range h {
		if strings.EqualFold(n, name) {
			return strings.Join(v, ", ")
		}
	}
	return ""
}

// twice sends a recorded request two times, cold and warm, through the Authorizer and to a sandbox that
// has the same history, and returns how many answers were alike.
func twice(t *testing.T, w *world, reference *sandbox.Sandbox, rec *recording.Recording) (alike, sent int) {
	for _, state := range []string{"cold", "warm"} {
		direct, err := rec.NewRequest()
		require.NoError(t, err)
		through, err := rec.NewRequest()
		require.NoError(t, err)
		want := serve(reference, direct)
		require.NoError(t, reference.Settle(t.Context()))
		have := w.send(through)
		sent++
		if diff := difference(want, have); diff == "" {
			alike++
		} else if explained[rec.Name] == "" {
			assert.Fail(t, rec.Name+" "+state, diff)
		}
	}
	return alike, sent
}

// passing has no service configured: the backend judges the credentials of a recording.
func passing(o *worldOptions) { o.Services = nil }

func TestRecordingsAnsweredAlike(t *testing.T) {
	all, err := recording.Load("../threescale/testdata/recordings")
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		alike, sent, recordings := 0, 0, 0
		for _, rec := range all {
			if !authorization(rec) || rec.Name == "redis-down-authorize" || rec.Name == "auth-trailing-slash" {
				continue
			}
			recordings++
			a, s := twice(t, newWorld(t, passing), sandbox.New(sandbox.Options{}), rec)
			alike, sent = alike+a, sent+s
		}
		t.Logf("%d recordings, each cold and warm: %d answers, %d alike, %d different and explained", recordings, sent, alike, sent-alike)
	})
}

// TestSeriesOfLimits: nothing of the series is delivered, so every figure is counted here. Beside a
// sandbox with the same history, the figures are the recorded ones.
func TestSeriesOfLimits(t *testing.T) {
	all, err := recording.Load("../threescale/testdata/recordings")
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		w, reference := newWorld(t, nil), sandbox.New(sandbox.Options{})
		for _, name := range seriesOfLimits {
			rec := recording.ByName(all, name)
			direct, err := rec.NewRequest()
			require.NoError(t, err)
			want := serve(reference, direct)
			require.NoError(t, reference.Settle(t.Context()))
			assert.Equal(t, rec.Status, want.status, name)
			if rec.Method == http.MethodPost {
				w.accept("limA", "hits", 5)
				continue
			}
			through, err := rec.NewRequest()
			require.NoError(t, err)
			have := w.send(through)
			assert.Empty(t, difference(want, have), name)
			recorded := got{body: string(rec.AnswerBody)}
			for _, u := range recorded.verdict(t).UsageReports {
				assert.Equal(t, u.CurrentValue, have.current(t, u.Metric, u.Period), name)
			}
		}
		assert.Equal(t, 2, w.backend.calls(), "calls of the backend: the first, and one for a metric not yet heard of")
	})
}
