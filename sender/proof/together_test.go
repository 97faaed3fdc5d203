package proof

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// registry answers as a backend that has some applications and metrics, with or without a key that every call lacks.
type registry struct {
	metrics map[string]bool
	unknown func(app string) bool
	locked  bool // every application wants a key
	calls   []string
}

func (g *registry) answer(r *http.Request) (status int, body string) {
	query := r.URL.Query()
	name := query.Get("app_id")
	var metrics []string
	for _, part := range strings.Split(r.URL.RawQuery, "&") {
		if key, _, _ := strings.Cut(part, "="); strings.HasPrefix(key, "usage") {
			metrics = append(metrics, strings.NewReplacer("usage", "", "[", "", "]", "", "%5B", "", "%5D", "").Replace(key))
		}
	}
	g.calls = append(g.calls, name+" "+strings.Join(metrics, ","))
	bare := strings.Contains(r.Header.Get("3scale-Options")+r.Header.Get("3scale-options"), "no_body=1")
	if g.unknown != nil && g.unknown(name) {
		return 404, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><error code="application_not_found">application with id=%q was not found</error>`, name)
	}
	if g.locked && !bare {
		return 409, `<?xml version="1.0" encoding="UTF-8"?><status><authorized>false</authorized><reason>application key is missing</reason><plan>Gold</plan></status>`
	}
	for _, m := range metrics {
		if !g.metrics[m] {
			if bare {
				return 404, ""
			}
			return 404, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><error code="metric_invalid">metric %q is invalid</error>`, m)
		}
	}
	if g.locked {
		return 409, ""
	}
	return 200, granted
}

// questions are those of a batch: of n applications, each with usage of the metrics.
func questions(n int, metrics ...string) []Question {
	all := about(n)
	for _, m := range metrics {
		all = append(all, Question{Application: all[0].Application, Metric: m})
	}
	return all
}

// withRegistry asks a registry, and returns when all is answered. It returns how often each subject was in a call.
func withRegistry(t *testing.T, g *registry, ask []Question, check func(p *Proofs)) {
	withProber(t, 1000, func(o *oracle, p *Prober, proofs *Proofs) {
		o.reply = g.answer
		done := make(chan *Failure, 1)
		require.True(t, p.Ask(scope, Configured, ask, func(f *Failure) { done <- f }))
		assert.Nil(t, <-done)
		assert.Zero(t, p.Stats().Waiting)
		check(proofs)
	})
}

func standingOf(p *Proofs, metric string) State {
	return standing(p, &threescale.Transaction{Application: app("app0"), Usage: threescale.Usage{{Metric: metric, Value: 1}}}, 0).State
}

// TestMetricsAreAskedTogetherWithAnApplication: one call proves an application and all metrics; the first of many does.
func TestMetricsAreAskedTogetherWithAnApplication(t *testing.T) {
	g := &registry{metrics: map[string]bool{"hits": true, "transfer": true}}
	withRegistry(t, g, questions(100, "hits", "transfer"), func(p *Proofs) {
		assert.Len(t, g.calls, 100)
		assert.Contains(t, g.calls, "app0 hits,transfer")
		assert.Contains(t, g.calls, "app1 ")
		assert.Equal(t, Proven, standingOf(p, "hits"))
		assert.Equal(t, Proven, standingOf(p, "transfer"))
	})
}

// TestAnUnknownMetricAmongOthers is denied, and the others are not.
func TestAnUnknownMetricAmongOthers(t *testing.T) {
	for _, locked := range []bool{false, true} {
		g := &registry{metrics: map[string]bool{"hits": true, "transfer": true}, locked: locked}
		withRegistry(t, g, questions(3, "hits", "bad", "transfer"), func(p *Proofs) {
			assert.Equal(t, Proven, standingOf(p, "hits"))
			assert.Equal(t, Proven, standingOf(p, "transfer"))
			assert.Equal(t, Waiting, standingOf(p, "bad"))
			assert.Less(t, len(g.calls), 12, "%q", g.calls)
		})
	}
}

// TestMetricsBehindUnknownApplications: an application that does not exist says nothing about metrics; the next one does, and if
// there are too many of these, the metric's own.
func TestMetricsBehindUnknownApplications(t *testing.T) {
	for unknown := range 12 {
		g := &registry{metrics: map[string]bool{"hits": true}, unknown: func(name string) bool {
			var n int
			_, _ = fmt.Sscanf(name, "app%d", &n)
			return n >= 1 && n <= unknown
		}}
		ask := questions(20)[1:]
		ask = append(ask, Question{Application: app("app0"), Metric: "hits"}, Question{Application: app("app0")})
		withRegistry(t, g, ask, func(p *Proofs) {
			assert.Equal(t, Proven, standingOf(p, "hits"), "%q", g.calls)
			assert.LessOrEqual(t, len(g.calls), 21)
		})
	}
	g := &registry{unknown: func(string) bool { return true }}
	withRegistry(t, g, questions(20, "hits"), func(p *Proofs) {
		assert.LessOrEqual(t, len(g.calls), 21, "no application, no answer, and no end of questions either")
	})
}

// TestQuestionsFollowTheBackend: more are under way while it is quick, fewer when it is slow or says that it has too much to do.
func TestQuestionsFollowTheBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pace{room: firstAsked}
		answer := func(took time.Duration) {
			began := time.Now()
			wait(took)
			c.answered(began, time.Now(), true)
		}
		for range 1000 {
			answer(2 * time.Millisecond)
		}
		assert.Equal(t, mostAsked, c.most())
		for range 10 {
			answer(20 * time.Millisecond)
		}
		assert.Less(t, c.most(), 12)
		for range 100 {
			answer(20 * time.Millisecond)
		}
		assert.Equal(t, leastAsked, c.most())
		for range 1000 {
			answer(2 * time.Millisecond)
		}
		for status, room := range map[int]int{403: mostAsked, 404: mostAsked, 429: mostAsked / 2, 503: mostAsked / 2, 0: mostAsked / 2} {
			c := c
			f := &Failure{Answer: &threescale.Answer{Status: status}}
			if status == 0 {
				f.Answer = nil
			}
			began := time.Now()
			wait(time.Millisecond)
			c.failed(f, began, time.Now())
			c.failed(f, began, time.Now())
			assert.Equal(t, room, c.most(), "%d, twice at the same time", status)
		}
	})
}
