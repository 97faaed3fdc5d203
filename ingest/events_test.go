package ingest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errQuota = errors.New("quota of 1 MiB is used up")

const small = `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`

func credentials(token string) threescale.Credentials {
	return threescale.Credentials{ServiceToken: token}
}

func squeeze(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func TestEventsAcceptedInEveryForm(t *testing.T) {
	l := listen(t, Options{})
	for name, test := range map[string]struct {
		head, body string
		events     int
	}{
		"an object":          {"\nContent-Type: application/json", small, 1},
		"an array":           {"\nContent-Type: application/json", "[" + small + "," + small + "]", 2},
		"an empty array":     {"\nContent-Type: application/json", "[]", 0},
		"lines":              {"\nContent-Type: application/x-ndjson", small + "\n" + small + "\n", 2},
		"no lines":           {"\nContent-Type: application/x-ndjson\nContent-Length: 0", "", 0},
		"a charset":          {"\nContent-Type: Application/JSON; charset=UTF-8", small, 1},
		"no type":            {"", small, 1},
		"gzip":               {"\nContent-Type: application/json\nContent-Encoding: gzip", squeeze(t, "["+small+"]"), 1},
		"gzip in two pieces": {"\nContent-Type: application/x-ndjson\nContent-Encoding: GZIP", squeeze(t, small+"\n") + squeeze(t, small), 2},
		"a double slash":     {"\nContent-Type: application/json", small, 1},
	} {
		path := "/v1/events"
		if name == "a double slash" {
			path = "//v1//events"
		}
		reply := l.send(t, "POST "+path+" HTTP/1.1"+test.head, test.body)
		assert.Equal(t, 202, reply.StatusCode, name)
		assert.Equal(t, fmt.Sprintf(`{"accepted":%d,"duplicates":0}`, test.events), reply.body, name)
		assert.Equal(t, fmt.Sprint(len(reply.body)), reply.Header.Get("Content-Length"), name)
		assert.Equal(t, "application/json", reply.Header.Get("Content-Type"), name)
		assert.Len(t, l.take(), test.events, name)
	}
}

func TestDuplicatesAreAcknowledgedAndToldApart(t *testing.T) {
	l := listen(t, Options{})
	const one = `{"service_id":"1001","app_id":"app1","usage":{"hits":1},"id":"a"}`
	assert.Equal(t, `{"accepted":1,"duplicates":0}`, l.post(t, "application/json", one).body)
	assert.Equal(t, `{"accepted":1,"duplicates":1}`, l.post(t, "application/json", "["+one+","+small+"]").body)
	assert.Len(t, l.take(), 2)
}

// problemBody reads a problem+json answer.
func problemBody(t *testing.T, reply answer) problem {
	t.Helper()
	require.Equal(t, "application/problem+json", reply.Header.Get("Content-Type"))
	var p problem
	require.NoError(t, json.Unmarshal([]byte(reply.body), &p))
	assert.Equal(t, reply.StatusCode, p.Status)
	assert.Equal(t, "about:blank", p.Type)
	assert.NotEmpty(t, p.Title)
	assert.NotEmpty(t, p.Detail)
	return p
}

func TestEventsRefused(t *testing.T) {
	l := listen(t, Options{MaxBody: 1 << 20, MaxEvents: 10})
	for name, test := range map[string]struct {
		head, body string
		status     int
		detail     string
	}{
		"a form, as curl sends":  {form, "service_id=1001", 415, "the Content-Type must be application/json or application/x-ndjson, or one of CloudEvents in JSON"},
		"another charset":        {"\nContent-Type: application/json; charset=latin1", small, 415, "the charset must be UTF-8"},
		"another encoding":       {"\nContent-Encoding: br", small, 415, "the Content-Encoding must be gzip or none"},
		"no JSON":                {"", `{"service_id"`, 400, "byte 13: the JSON ends early"},
		"nothing":                {"\nContent-Length: 0", "", 400, "byte 0: the body is empty"},
		"no gzip":                {"\nContent-Encoding: gzip", small, 400, "the body cannot be read: gzip: invalid header"},
		"half a gzip":            {"\nContent-Encoding: gzip", squeeze(t, small)[:30], 400, "the body ends early"},
		"a large body":           {"", strings.Repeat(" ", 1<<20+1), 413, "the body has more than 1048576 bytes, after expansion if compressed"},
		"a body that expands":    {"\nContent-Encoding: gzip", squeeze(t, strings.Repeat(" ", 64<<20)), 413, "the body has more than 1048576 bytes, after expansion if compressed"},
		"many events":            {"", "[" + strings.Repeat(small+",", 10) + small + "]", 413, "more than 10 events in one request"},
		"one wrong among others": {"", "[" + small + `,{"service_id":"1001","app_id":"app1","usage":{"hits":-1}},` + small + "]", 422, "1 of 3 events cannot be taken; nothing was kept"},
	} {
		reply := l.send(t, "POST /v1/events HTTP/1.1"+test.head, test.body)
		assert.Equal(t, test.status, reply.StatusCode, name)
		p := problemBody(t, reply)
		assert.Equal(t, test.detail, p.Detail, name)
		assert.Empty(t, l.take(), name)
		if test.status == 422 {
			assert.Equal(t, []Fault{{1, "usage.hits", "must not be negative"}}, p.Errors)
			assert.Equal(t, 1, p.Total)
		}
	}
}

func TestMethodAndPath(t *testing.T) {
	l := listen(t, Options{})
	reply := l.send(t, "GET /v1/events HTTP/1.1", "")
	assert.Equal(t, 405, reply.StatusCode)
	assert.Equal(t, "POST", reply.Header.Get("Allow"))
	problemBody(t, reply)
	assert.Equal(t, 405, l.send(t, "OPTIONS /v1/events HTTP/1.1", "").StatusCode, "no page in a browser may post events here")
	reply = l.send(t, "POST /v1/event HTTP/1.1", small)
	assert.Equal(t, 404, reply.StatusCode)
	problemBody(t, reply)
}

// TestJournalThatFails has the column everyone forgets: the events may have landed all the same. Either
// way the producer is told no, and its retry with ids counts once.
func TestJournalThatFails(t *testing.T) {
	const body = `{"service_id":"1001","app_id":"app1","usage":{"hits":1},"id":"a"}`
	for name, test := range map[string]struct {
		err    error
		landed bool
		status int
		after  string
		kept   int // after a retry that succeeds
	}{
		"no room":                   {&event.Refused{Full: true, RetryAfter: 7 * time.Second, Err: errQuota}, false, 429, "7", 1},
		"no way to keep it":         {&event.Refused{RetryAfter: time.Millisecond, Err: errQuota}, false, 503, "1", 1},
		"failed, not persisted":     {errors.New("spool: sync: input/output error"), false, 503, "5", 1},
		"failed, but it had landed": {errors.New("spool: sync: input/output error"), true, 503, "5", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, Options{})
			l.err, l.landed = test.err, test.landed
			reply := l.post(t, "application/json", body)
			assert.Equal(t, test.status, reply.StatusCode)
			assert.Equal(t, test.after, reply.Header.Get("Retry-After"))
			assert.NotContains(t, problemBody(t, reply).Detail, "spool", "the operator's words are for the log")
			l.err = nil
			assert.Equal(t, 202, l.post(t, "application/json", body).StatusCode)
			assert.Len(t, l.take(), test.kept)
		})
	}
}

func TestStats(t *testing.T) {
	l := listen(t, Options{})
	l.post(t, "application/json", "["+small+","+small+"]")
	l.post(t, "application/json", "{}")
	l.report(t, tokened+"transactions[0][app_id]=A"+usage)
	l.report(t, "")
	s := l.Stats()
	assert.EqualValues(t, 1, s.Events.Requests[202])
	assert.EqualValues(t, 1, s.Events.Requests[422])
	assert.EqualValues(t, 2, s.Events.Events)
	assert.EqualValues(t, 2*len(small)+3, s.Events.Bytes)
	assert.EqualValues(t, 1, s.Reports.Requests[202])
	assert.EqualValues(t, 1, s.Reports.Requests[403])
	assert.EqualValues(t, 1, s.Reports.Events)
	assert.Contains(t, s.Reports.Requests, 503)
}
