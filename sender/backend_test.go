package sender

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// call is a report as it arrived.
type call struct {
	at      time.Time
	service string
	token   string
	apps    []string
	hits    map[string]uint64 // by application
}

// backend stands in for 3scale behind a RoundTripper, where synctest can see it wait.
type backend struct {
	mu      sync.Mutex // guards what follows
	answer  func(call) reply
	calls   []call
	counted map[string]uint64 // hits by application
}

// reply says what becomes of a call. The zero value: taken and counted.
type reply struct {
	status int
	body   string
	header http.Header
	err    error         // instead of an answer, after the report was written
	landed bool          // counted in spite of what is answered
	delay  time.Duration // before the answer
}

func refuse(status int, code, text string) reply {
	return reply{status: status, body: `<?xml version="1.0" encoding="UTF-8"?><error code="` + code + `">` + text + `</error>`}
}

var errReset = errors.New("connection reset by peer")

// behave changes what is answered from now on; nil: everything is taken.
func (b *backend) behave(answer func(call) reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// RoundTrip reads the report, waits, counts and answers.
func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := parseCall(string(body))
	a := b.take(c)
	if err := delayed(r.Context(), a.delay); err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: a.status, Header: a.header, Request: r, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

func (b *backend) take(c call) reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, c)
	var a reply
	if b.answer != nil {
		a = b.answer(c)
	}
	if a.status == 0 {
		a.status = http.StatusAccepted
	}
	if a.landed || (a.status == http.StatusAccepted && a.err == nil && a.body == "") {
		for app, hits := range c.hits {
			b.counted[app] += hits
		}
	}
	return a
}

// seen returns the calls so far.
func (b *backend) seen() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]call(nil), b.calls...)
}

// hits returns what was counted, over all applications.
func (b *backend) hits() (n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hits := range b.counted {
		n += hits
	}
	return n
}

func parseCall(body string) call {
	form, err := url.ParseQuery(body)
	if err != nil {
		panic(err)
	}
	c := call{at: time.Now(), service: form.Get("service_id"), token: form.Get("service_token"), hits: map[string]uint64{}}
	for i := 0; ; i++ {
		app := form.Get(fmt.Sprintf("transactions[%d][app_id]", i))
		if app == "" {
			return c
		}
		hits, err := strconv.ParseUint(form.Get(fmt.Sprintf("transactions[%d][usage][hits]", i)), 10, 64)
		if err != nil {
			panic(err)
		}
		c.apps = append(c.apps, app)
		c.hits[app] += hits
	}
}
