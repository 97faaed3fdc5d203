package ingest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// envelope is a CloudEvent with more fields behind the required ones.
func envelope(id, more string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"com.example.usage"%s}`, id, more)
}

// TestCloudEvents: both modes are taken, by HTTP and NATS; source and id are the event's id, time is its time.
func TestCloudEvents(t *testing.T) {
	l := listen(t, Options{})
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	sent := fmt.Sprintf(`,"time":%q`, at.Format(time.RFC3339))
	data := `,"data":` + small
	for name, c := range map[string]struct {
		head, body string
		ids        []string
		timed      bool
	}{
		"structured":        {"\nContent-Type: application/cloudevents+json; charset=utf-8", envelope("1", sent+data), []string{"/shop 1"}, true},
		"without a time":    {"\nContent-Type: application/cloudevents+json", envelope("2", data), []string{"/shop 2"}, false},
		"in base64":         {"\nContent-Type: application/cloudevents+json", envelope("3", `,"data_base64":"`+base64.StdEncoding.EncodeToString([]byte(small))+`"`), []string{"/shop 3"}, false},
		"several in one":    {"\nContent-Type: application/cloudevents+json", envelope("4", `,"data":[`+small+`,`+small+`]`), []string{"/shop 4/0", "/shop 4/1"}, false},
		"an id of its own":  {"\nContent-Type: application/cloudevents+json", envelope("5", `,"data":`+strings.Replace(small, "{", `{"id":"own",`, 1)), []string{"own"}, false},
		"a null id":         {"\nContent-Type: application/cloudevents+json", envelope("6", `,"data":`+strings.Replace(small, "{", `{"id":null,`, 1)), []string{"/shop 6"}, false},
		"a batch":           {"\nContent-Type: application/cloudevents-batch+json", "[" + envelope("7", data) + "," + envelope("8", data) + "]", []string{"/shop 7", "/shop 8"}, false},
		"an empty batch":    {"\nContent-Type: application/cloudevents-batch+json", "[]", nil, false},
		"binary":            {"\nContent-Type: application/json\nce-specversion: 1.0\nce-id: 9\nce-source: /shop\nce-type: x\nce-time: " + at.Format(time.RFC3339), small, []string{"/shop 9"}, true},
		"a byte order mark": {"\nContent-Type: application/cloudevents+json", "\xef\xbb\xbf" + envelope("10", data), []string{"/shop 10"}, false},
	} {
		reply := l.send(t, "POST /v1/events HTTP/1.1"+c.head, c.body)
		require.Equal(t, 202, reply.StatusCode, "%s: %s", name, reply.body)
		var ids []string
		for _, e := range l.take() {
			ids = append(ids, e.ID)
			assert.Equal(t, c.timed, e.Timestamp == at.Unix(), name)
		}
		assert.Equal(t, c.ids, ids, name)
	}
	long, _ := native([]byte(envelope(strings.Repeat("x", 300), data)), false)
	assert.Contains(t, string(long), `"id":"sha256:`)
}

// TestCloudEventsRefused: what is missing is named, with the CloudEvent's index.
func TestCloudEventsRefused(t *testing.T) {
	l := listen(t, Options{})
	for name, c := range map[string]struct {
		batch bool
		body  string
		code  int
		says  string
	}{
		"no JSON":      {false, "{", 400, "not CloudEvents"},
		"no source":    {false, `{"specversion":"1.0","id":"1","type":"x","data":{}}`, 422, `"field":"source"`},
		"no data":      {true, "[" + envelope("1", `,"data":`+small) + "," + envelope("2", "") + "]", 422, `"index":1,"field":"data"`},
		"version":      {false, `{"specversion":"2.0","id":"1","source":"s","type":"x","data":{}}`, 422, "must be 1.0"},
		"time":         {false, envelope("1", `,"time":"today","data":{}`), 422, `"field":"time"`},
		"a bad event":  {false, envelope("1", `,"data":{"service_id":"1001"}`), 422, "usage"},
		"no event":     {false, envelope("1", `,"data":7`), 422, "an event must be an object"},
		"not a base64": {false, envelope("1", `,"data_base64":"!"`), 422, "data_base64"},
	} {
		kind := map[bool]string{false: cloudEventType, true: cloudBatchType}[c.batch]
		reply := l.post(t, kind, c.body)
		assert.Equal(t, c.code, reply.StatusCode, name)
		assert.Contains(t, reply.body, c.says, name)
		assert.Empty(t, l.take(), name)
	}
}

// TestCloudEventsByNATS: headers of a message are the attributes in binary mode, and a batch in a stream is divided as an array is.
func TestCloudEventsByNATS(t *testing.T) {
	b, journal := newTestBundle(t, false)
	attributes := map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "x"}
	event := `{"app_id":"a","usage":{"hits":1}}`
	_, refused := b.Add(Message{ServiceID: "1001", Header: func(name string) string { return attributes[name] }, Body: []byte(event)})
	require.Nil(t, refused)
	assert.Equal(t, "/shop 1", b.events[0].ID)
	b.Reset()
	s := b.Split(Message{ServiceID: "1001", ContentType: cloudBatchType, Body: []byte("[" + envelope("1", `,"data":`+event) + "," + envelope("2", `,"data":{}`) + "]")})
	kept := 0
	require.NoError(t, s.Reject(func(Rejected) error { kept++; return nil }))
	require.True(t, s.Next())
	_, refused = s.Append(t.Context())
	require.Nil(t, refused)
	assert.Equal(t, 1, kept)
	assert.Len(t, journal.take(), 1)
}

// TestPlainlyMeant: a byte order mark and curl's content type are no obstacle to JSON.
func TestPlainlyMeant(t *testing.T) {
	l := listen(t, Options{})
	for name, c := range map[string][2]string{
		"byte order mark":          {"\nContent-Type: application/json", "\xef\xbb\xbf" + small},
		"byte order mark in lines": {"\nContent-Type: application/x-ndjson", "\xef\xbb\xbf" + small + "\n" + small},
		"no content type":          {"", small},
		"curl's content type":      {form, " [" + small + "]"},
	} {
		reply := l.send(t, "POST /v1/events HTTP/1.1"+c[0], c[1])
		assert.Equal(t, 202, reply.StatusCode, "%s: %s", name, reply.body)
	}
	b, _ := newTestBundle(t, false)
	_, refused := b.Add(Message{ServiceID: "1001", Body: []byte("\xef\xbb\xbf" + `{"app_id":"a","usage":{"hits":1}}`)})
	assert.Nil(t, refused)
}

// TestLoneSurrogates: half of a surrogate pair is refused wherever it stands, not replaced.
func TestLoneSurrogates(t *testing.T) {
	l := listen(t, Options{})
	for _, body := range []string{
		`{"service_id":"1001","app_id":"a","usage":{"hi\ud800ts":1}}`, `{"service_id":"1001","app_id":"a\uDC00","usage":{"hits":1}}`,
		`{"service_id":"1001","app_id":"a","id":"\ud83dx","usage":{"hits":1}}`,
	} {
		reply := l.post(t, "application/json", body)
		assert.Equal(t, 422, reply.StatusCode)
		assert.Contains(t, reply.body, "half of a surrogate pair")
	}
	reply := l.post(t, "application/json", `{"service_id":"1001","app_id":"\ud83d\ude00","usage":{"\ufffd":1}}`)
	assert.Equal(t, 202, reply.StatusCode, reply.body)
}

// TestPagesOfOtherSites: a browser may not report, or send events, for a page of another site.
func TestPagesOfOtherSites(t *testing.T) {
	l := listen(t, Options{})
	body := tokened + "transactions[0][app_id]=A" + usage
	for headers, code := range map[string]int{
		"": 202, "\nOrigin: http://localhost:3000": 202, "\nSec-Fetch-Site: none": 202, "\nSec-Fetch-Site: same-origin": 202,
		"\nOrigin: https://evil.example": 403, "\nOrigin: null": 403, "\nSec-Fetch-Site: cross-site": 403, "\nSec-Fetch-Site: same-site": 403,
	} {
		reply := l.send(t, "POST /transactions.xml HTTP/1.1"+form+headers, body)
		assert.Equal(t, code, reply.StatusCode, "report%s: %s", headers, reply.body)
		reply = l.send(t, "POST /v1/events HTTP/1.1"+form+headers, small)
		assert.Equal(t, code, reply.StatusCode, "events%s", headers)
	}
}
