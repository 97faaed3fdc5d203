package proof

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// oracle answers questions without a network.
type oracle struct {
	mu     sync.Mutex // guards what follows
	asked  []time.Time
	names  []string
	flying int
	most   int
	answer func(r *http.Request) (status int, err error)
	reply  func(r *http.Request) (status int, body string) // in place of answer
}

const granted = `<?xml version="1.0" encoding="UTF-8"?><status><authorized>true</authorized><plan>Gold</plan></status>`

// RoundTrip takes a tenth of a second.
func (o *oracle) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	o.asked = append(o.asked, time.Now())
	o.names = append(o.names, r.URL.Query().Get("service_id")+"/"+r.URL.Query().Get("app_id"))
	o.flying++
	o.most = max(o.most, o.flying)
	status, body, err := 200, granted, error(nil)
	if o.reply != nil {
		status, body = o.reply(r)
	}
	if o.answer != nil {
		status, err = o.answer(r)
	}
	o.mu.Unlock()
	select {
	case <-time.After(100 * time.Millisecond):
	case <-r.Context().Done():
		err = r.Context().Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flying--
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/vnd.3scale-v2.0+xml"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func withProber(t *testing.T, rate int, test func(*oracle, *Prober, *Proofs)) {
	synctest.Test(t, func(t *testing.T) {
		o, proofs := &oracle{}, New(Options{})
		client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: o})
		require.NoError(t, err)
		p := NewProber(client, proofs, rate)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		test(o, p, proofs)
		cancel()
		assert.NoError(t, <-ended)
	})
}

func about(n int) []Question {
	all := make([]Question, n)
	for i := range all {
		all[i].Application = app(fmt.Sprint("app", i))
	}
	return all
}

func TestRateAndConcurrencyAreBounded(t *testing.T) {
	withProber(t, 10, func(o *oracle, p *Prober, proofs *Proofs) {
		began, done := time.Now(), make(chan *Failure, 1)
		require.True(t, p.Ask(scope, Configured, about(60), func(f *Failure) { done <- f }))
		assert.Nil(t, <-done)
		assert.InDelta(t, 5, time.Since(began).Seconds(), 0.3, "ten at once, then ten a second")
		assert.LessOrEqual(t, o.most, mostAsked)
		assert.Len(t, o.asked, 60)
		assert.Equal(t, 60, proofs.Len())
	})
}

func TestOneQuestionForAllWhoWantToKnow(t *testing.T) {
	withProber(t, 100, func(o *oracle, p *Prober, _ *Proofs) {
		done := make(chan *Failure, 3)
		for range 3 {
			require.True(t, p.Ask(scope, Configured, about(5), func(f *Failure) { done <- f }))
		}
		for range 3 {
			assert.Nil(t, <-done)
		}
		assert.Len(t, o.asked, 5)
	})
}

func TestServicesTakeTurns(t *testing.T) {
	withProber(t, 5, func(o *oracle, p *Prober, _ *Proofs) {
		first, second := make(chan *Failure, 1), make(chan *Failure, 1)
		p.Ask(scope, Configured, about(100), func(f *Failure) { first <- f })
		wait(3 * time.Second)
		began := time.Now()
		p.Ask(Scope{ServiceID: "1002"}, Configured, about(1), func(f *Failure) { second <- f })
		<-second
		assert.Less(t, time.Since(began), time.Second)
		<-first
	})
}

func TestAFailureEndsTheQuestionsOfItsService(t *testing.T) {
	withProber(t, 100, func(o *oracle, p *Prober, _ *Proofs) {
		o.answer = func(r *http.Request) (int, error) {
			if r.URL.Query().Get("service_id") == "1001" {
				return 0, errors.New("no")
			}
			return 200, nil
		}
		bad, good := make(chan *Failure, 1), make(chan *Failure, 1)
		p.Ask(scope, Configured, about(1000), func(f *Failure) { bad <- f })
		p.Ask(Scope{ServiceID: "1002"}, Configured, about(10), func(f *Failure) { good <- f })
		assert.NotNil(t, <-bad)
		assert.Nil(t, <-good)
		wait(time.Minute)
		assert.LessOrEqual(t, len(o.asked), 10+2*firstAsked)
		assert.Zero(t, p.Stats().Waiting)
	})
}

func TestStopDoesNotWaitForAnswers(t *testing.T) {
	withProber(t, 100, func(o *oracle, p *Prober, _ *Proofs) {
		p.Ask(scope, Configured, about(50), nil)
		wait(50 * time.Millisecond)
	})
}

// TestWhatIsInUseComesFirst: unknown names cannot crowd out those whose proof runs out.
func TestWhatIsInUseComesFirst(t *testing.T) {
	withProber(t, 5, func(o *oracle, p *Prober, proofs *Proofs) {
		proofs.Prove(scope, app("known"), nil, time.Now())
		flood, known := make(chan *Failure, 1), make(chan *Failure, 1)
		p.Ask(scope, Configured, about(200), func(f *Failure) { flood <- f })
		wait(3 * time.Second)
		began := time.Now()
		p.Ask(scope, Configured, []Question{{Application: app("known")}}, func(f *Failure) { known <- f })
		<-known
		assert.Less(t, time.Since(began), time.Second)
		<-flood
	})
}

// TestOtherCredentialsAreAnotherQuestion: what is under way with a wrong token says nothing about the right one.
func TestOtherCredentialsAreAnotherQuestion(t *testing.T) {
	withProber(t, 100, func(o *oracle, p *Prober, _ *Proofs) {
		o.answer = func(r *http.Request) (int, error) {
			if r.URL.Query().Get("service_token") == "t" {
				return 503, nil
			}
			return 200, nil
		}
		wrong, right := make(chan *Failure, 1), make(chan *Failure, 1)
		p.Ask(scope, Configured, about(1), func(f *Failure) { wrong <- f })
		wait(10 * time.Millisecond)
		p.Ask(Scope{ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "new"}}, Configured, about(1), func(f *Failure) { right <- f })
		assert.NotNil(t, <-wrong)
		assert.Nil(t, <-right)
	})
}

// TestConfiguredServicesAreAskedAboutFirst: questions of a configured service are asked before those of many services that are not.
func TestConfiguredServicesAreAskedAboutFirst(t *testing.T) {
	withProber(t, 200, func(_ *oracle, p *Prober, _ *Proofs) {
		answered := make(chan *Failure, 500)
		for n := range 500 {
			p.Ask(Scope{ServiceID: fmt.Sprint("s", n)}, PassedOn, about(2), func(f *Failure) { answered <- f })
		}
		wait(time.Second)
		asked, own := time.Now(), make(chan *Failure, 1)
		p.Ask(scope, Configured, about(2), func(f *Failure) { own <- f })
		assert.Nil(t, <-own)
		assert.Less(t, time.Since(asked), time.Second, "before those of strangers")
		for range 500 {
			assert.Nil(t, <-answered)
		}
	})
}

// TestAQuestionAsksForNames: where the backend has not told what a name stands for, the same call asks for it, and the answer is passed
// on; a denial of a metric does not change that.
func TestAQuestionAsksForNames(t *testing.T) {
	o := &oracle{}
	client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: o})
	require.NoError(t, err)
	key, id := threescale.Application{UserKey: "secret"}, threescale.Application{ID: "app"}
	o.reply = func(r *http.Request) (int, string) {
		keys := ""
		if strings.Contains(r.Header.Get("3scale-Options"), "list_app_keys=1") {
			keys = `<app_keys app="app" svc="1002"></app_keys>`
		}
		return http.StatusOK, strings.Replace(granted, "</status>", keys+"</status>", 1)
	}
	var told []string
	proofs := New(Options{
		Unresolved: func(_ Scope, a threescale.Application) bool { return a.UserKey != "" && len(told) == 0 },
		Named: func(s Scope, a threescale.Application, service, app string) {
			told = append(told, fmt.Sprint(s.ServiceID, " ", a.UserKey, " is ", app, " of ", service))
		},
	})
	synctest.Test(t, func(t *testing.T) {
		for _, a := range []threescale.Application{id, key, key} {
			f := proofs.ask(t.Context(), client, Scope{ServiceID: "1002"}, call{application: a, both: true, metrics: []string{"hits"}})
			assert.Nil(t, f.failure)
		}
	})
	assert.Equal(t, []string{"1002 secret is app of 1002"}, told)
	assert.Len(t, o.asked, 3, "no further call")
}
