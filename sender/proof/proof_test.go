package proof

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

var (
	scope  = Scope{ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "t"}}
	absent = Refusal{Status: 404, Code: "application_not_found", Text: `application with id="a" was not found`}
)

func app(id string) threescale.Application { return threescale.Application{ID: id} }

func hits(id string) *threescale.Transaction {
	return &threescale.Transaction{Application: app(id), Usage: threescale.Usage{{Metric: "hits", Value: 1}}}
}

// standing is the assessment on a transaction that was sealed a while ago.
func standing(p *Proofs, t *threescale.Transaction, ago time.Duration) Assessment {
	now := time.Now()
	return p.Lookup(scope, now.Add(-ago), now).Assess(t)
}

func (p *Proofs) denyNow(id string) {
	p.deny(p.keyOf(scope, Question{Application: app(id)}), absent, time.Now())
}

func wait(d time.Duration) { <-time.After(d) }

func TestAMetricIsProvenForAllApplications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		o := standing(p, hits("a"), 0)
		assert.Equal(t, Assessment{State: Unknown, Questions: []Question{{Application: app("a")}, {app("a"), "hits"}}}, o, "both at once")
		p.Prove(scope, app("a"), nil, time.Now())
		o = standing(p, hits("a"), 0)
		assert.Equal(t, Assessment{State: Unknown, Questions: []Question{{Application: app("a"), Metric: "hits"}}}, o, "then its metrics")
		p.Prove(scope, app("b"), []string{"hits"}, time.Now())
		assert.Equal(t, Proven, standing(p, hits("a"), 0).State)
		assert.Equal(t, Unknown, standing(p, hits("c"), 0).State)
		other := p.Lookup(Scope{ServiceID: "1002"}, time.Now(), time.Now())
		assert.Equal(t, Unknown, other.Assess(hits("a")).State, "another service")
		elsewhere := p.Lookup(Scope{ServiceID: "1001", Credentials: threescale.Credentials{ProviderKey: "k"}}, time.Now(), time.Now())
		assert.Equal(t, Proven, elsewhere.Assess(hits("a")).State, "whoever asks")

		wait(DefaultLife * 9 / 10)
		assert.NotEmpty(t, standing(p, hits("a"), 0).Questions, "asked again before it ends")
		wait(DefaultLife / 10)
		assert.Equal(t, Unknown, standing(p, hits("a"), 0).State)
	})
}

// TestEveryMetricOfATransactionIsJudged: also what comes after one that is not proven.
func TestEveryMetricOfATransactionIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.Prove(scope, app("a"), []string{"hits"}, time.Now())
		p.deny(p.keyOf(scope, Question{Application: app("a"), Metric: "bad"}), absent, time.Now())
		q := p.Lookup(scope, time.Now().Add(-time.Hour), time.Now())
		mixed := hits("a")
		mixed.Usage = threescale.Usage{{Metric: "bad", Value: 1}, {Metric: "new", Value: 1}, {Metric: "newer", Value: 1}, {Metric: "hits", Value: 1}}
		o := q.Assess(mixed)
		assert.Equal(t, Refused, o.State)
		assert.Equal(t, []Question{{app("a"), "new"}, {app("a"), "newer"}}, o.Questions)
		var standings []State
		for _, m := range q.Metrics(mixed) {
			standings = append(standings, m.State)
		}
		assert.Equal(t, []State{Refused, Unknown, Unknown, Proven}, standings)
	})
}

func TestADenialCondemnsWhatIsOlderThanTheBackendsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.denyNow("a")
		now := time.Now()
		assert.Equal(t, Assessment{State: Waiting, At: now.Add(65 * time.Second)}.At.Unix(), standing(p, hits("a"), 0).At.Unix())
		assert.Equal(t, Waiting, standing(p, hits("a"), 64*time.Second).State)
		assert.Equal(t, Assessment{State: Refused, Refusal: absent}, standing(p, hits("a"), 65*time.Second))
		wait(61 * time.Second)
		assert.Equal(t, Unknown, standing(p, hits("a"), time.Hour).State, "an old denial is asked for again")
	})
}

func TestWhatWasDeniedOrNamedSettlesBeforeItShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.denyNow("a")
		p.Name(scope, hits("b"), time.Now())
		wait(30 * time.Second)
		for _, id := range []string{"a", "b"} {
			p.Prove(scope, app(id), nil, time.Now())
			bare := &threescale.Transaction{Application: app(id)}
			o := standing(p, bare, 0)
			assert.Equal(t, Waiting, o.State)
			assert.InDelta(t, 35, time.Until(o.At).Seconds(), 1)
		}
		wait(36 * time.Second)
		assert.Equal(t, Proven, standing(p, &threescale.Transaction{Application: app("a")}, 0).State)
		p.Name(scope, &threescale.Transaction{Application: app("a")}, time.Now())
		assert.Equal(t, Proven, standing(p, &threescale.Transaction{Application: app("a")}, 0).State, "naming what is proven is no harm")
	})
}

func TestMemoryIsBounded(t *testing.T) {
	p := New(Options{Most: 1000})
	for i := range 5000 {
		p.Prove(scope, threescale.Application{UserKey: fmt.Sprint(i)}, nil, time.Now())
	}
	assert.Equal(t, 1000, p.Len())
}

func TestSnapshot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proofs")
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.Prove(scope, app("a"), []string{"hits"}, time.Now())
		p.Prove(scope, threescale.Application{UserKey: "verysecret"}, nil, time.Now())
		p.denyNow("denied")
		require.NoError(t, p.Save(file))
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "verysecret")

		wait(time.Minute)
		later := New(Options{})
		require.NoError(t, later.Load(file))
		assert.Equal(t, Proven, standing(later, hits("a"), 0).State)
		assert.Equal(t, Unknown, standing(later, hits("denied"), time.Hour).State, "a denial is asked for again")
		later.Prove(scope, app("denied"), []string{"hits"}, time.Now())
		assert.Equal(t, Waiting, standing(later, hits("denied"), 0).State, "and yet remembered")
		require.NoError(t, os.Remove(file))
		require.NoError(t, New(Options{}).Load(file), "missing")
		require.NoError(t, p.Save(file), "unchanged")
		assert.NoFileExists(t, file)

		short := New(Options{Life: 10 * time.Second})
		require.NoError(t, later.Save(file))
		require.NoError(t, short.Load(file))
		wait(11 * time.Second)
		assert.Equal(t, Unknown, standing(short, hits("a"), 0).State, "a shorter life counts at once")
		wait(time.Hour)
		aged := New(Options{})
		require.NoError(t, aged.Load(file))
		assert.Zero(t, aged.Len())
	})
	require.NoError(t, os.WriteFile(file, []byte("RPPROOF1 and something else, long enough to be one record of the file"), 0o600))
	p := New(Options{})
	assert.Error(t, p.Load(file))
	assert.Zero(t, p.Len())
}

func BenchmarkOpinion(b *testing.B) {
	p := New(Options{})
	now := time.Now()
	transactions := make([]*threescale.Transaction, 1000)
	for i := range transactions {
		transactions[i] = hits(fmt.Sprint("app", i))
		p.Prove(scope, transactions[i].Application, []string{"hits"}, now)
	}
	b.ReportAllocs()
	for b.Loop() {
		q := p.Lookup(scope, now, now)
		for _, t := range transactions {
			if q.Assess(t).State != Proven {
				b.Fatal("not proven")
			}
		}
	}
}

// TestADenialEndsTheProofAtOnce: denials come from a client, a question or a report. An answer that was asked for before does not bring it back.
func TestADenialEndsTheProofAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		bare := func(id string) *threescale.Transaction { return &threescale.Transaction{Application: app(id)} }
		p.Prove(scope, app("a"), []string{"hits"}, time.Now())
		asked := time.Now()
		wait(2 * time.Second)
		p.Deny(scope, app("a"), "", absent, time.Now())
		assert.Equal(t, Waiting, standing(p, bare("a"), 0).State)
		wait(time.Second)
		p.Prove(scope, app("a"), nil, asked)
		wait(2 * time.Minute)
		assert.Equal(t, Unknown, standing(p, bare("a"), 0).State, "it was proven before it was denied")

		p.Prove(scope, app("b"), []string{"hits"}, time.Now())
		p.Deny(scope, app("b"), "hits", Refusal{Status: 404, Code: threescale.CodeMetricInvalid}, time.Now())
		assert.Equal(t, Proven, standing(p, bare("b"), 0).State)
		assert.Equal(t, Waiting, standing(p, hits("b"), 0).State)

		p.Revoke(scope, app("b"), "")
		assert.Equal(t, Unknown, standing(p, bare("b"), 0).State)
		assert.True(t, p.wasProven(p.keyOf(scope, Question{Application: app("b")})))
	})
}

// TestDenialsThatSayNothing: of names that are not remembered, and of another kind than the call had.
func TestDenialsThatSayNothing(t *testing.T) {
	p := New(Options{})
	now := time.Now()
	p.Prove(scope, app("a"), nil, now)
	p.Prove(scope, threescale.Application{UserKey: "k"}, nil, now)
	for i := range 1000 {
		p.Deny(scope, app(fmt.Sprint("wrong", i)), "", absent, now)
	}
	p.Deny(scope, app("a"), "", Refusal{Status: 403, Code: threescale.CodeUserKeyInvalid}, now)
	p.Deny(scope, threescale.Application{UserKey: "k"}, "", absent, now)
	p.Deny(scope, app("a"), "", Refusal{Status: 409, Code: threescale.CodeLimitsExceeded}, now)
	assert.Equal(t, 2, p.Len())
	for _, a := range []threescale.Application{app("a"), {UserKey: "k"}} {
		assert.Equal(t, Proven, standing(p, &threescale.Transaction{Application: a}, 0).State)
	}
}

// TestProofsAreYoungerInLargeCompany: the more transactions share a report, the sooner a proof is renewed; it counts until its end.
func TestProofsAreYoungerInLargeCompany(t *testing.T) {
	for company, renewed := range map[int]time.Duration{1: 18 * time.Minute, 99: 18 * time.Minute, 100: 7 * time.Minute, 400: 110 * time.Second, 1000: 110 * time.Second} {
		p, now := New(Options{}), time.Now()
		p.Prove(scope, app("a"), []string{"hits"}, now)
		asks := func(after time.Duration) bool {
			q := p.Lookup(scope, now, now.Add(after))
			q.Among(company)
			o := q.Assess(hits("a"))
			assert.Equal(t, Proven, o.State)
			return len(o.Questions) > 0
		}
		assert.False(t, asks(renewed), company)
		assert.True(t, asks(renewed+5*time.Minute), company)
	}
}

// TestRevokeAll: no proof is left, and none is forgotten.
func TestRevokeAll(t *testing.T) {
	p, now := New(Options{}), time.Now()
	p.Prove(scope, app("a"), []string{"hits"}, now)
	p.RevokeAll()
	assert.Equal(t, Unknown, p.Lookup(scope, now, now).Assess(hits("a")).State)
	assert.Equal(t, 2, p.Len())
}
