package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestBundle(t *testing.T, slow bool) (*Bundle, *memJournal) {
	t.Helper()
	journal := &memJournal{seen: map[string]bool{}}
	b := NewHandler(Options{Services: []Service{{ID: "1001"}, {ID: "1002"}}, Journal: journal, MaxEvents: 3}).NewBundle()
	b.slow = slow
	return b, journal
}

// The scanner and the reference decoder agree on messages whose subject names the service.
func TestBundleReads(t *testing.T) {
	const usage = `"app_id":"a","usage":{"hits":1}`
	now := time.Now()
	for _, c := range []struct {
		name   string
		m      Message
		events int
		fault  string
	}{
		{"the subject's service", Message{ServiceID: "1001", Body: []byte("{" + usage + "}")}, 1, ""},
		{"the same twice", Message{ServiceID: "1001", Body: []byte(`{"service_id":"1001",` + usage + "}")}, 1, ""},
		{"another", Message{ServiceID: "1001", Body: []byte(`{"service_id":"1002",` + usage + "}")}, 0, "service_id is not the service that the subject names"},
		{"unknown", Message{ServiceID: "9", Body: []byte("{" + usage + "}")}, 0, "service_id is not a configured service"},
		{"none at all", Message{Body: []byte("{" + usage + "}")}, 0, "service_id is required"},
		{"old", Message{ServiceID: "1001", Sent: now.Add(-25 * time.Hour), Body: []byte("{" + usage + "}")}, 0, "timestamp is required"},
		{"old, with a time", Message{ServiceID: "1001", Sent: now.Add(-25 * time.Hour), Body: fmt.Appendf(nil, `{"timestamp":%d,%s}`, now.Unix(), usage)}, 1, ""},
		{"lines", Message{ServiceID: "1001", ContentType: "application/x-ndjson", Body: []byte("{" + usage + "}\n{" + usage + "}")}, 2, ""},
		{"too many", Message{ServiceID: "1001", Body: []byte("[" + strings.Repeat("{"+usage+"},", 3) + "{" + usage + "}]")}, 0, "more than 3 events"},
		{"compressed", Message{ServiceID: "1001", Encoding: "gzip", Body: []byte("x")}, 0, "Content-Encoding"},
		{"an endless id", Message{ServiceID: "1001", ID: strings.Repeat("x", 256), Body: []byte("{" + usage + "}")}, 0, "at most"},
	} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, slow), func(t *testing.T) {
				b, _ := newTestBundle(t, slow)
				events, refused := b.Add(c.m)
				assert.Equal(t, c.events, events)
				assert.Equal(t, c.events, b.Len())
				if c.fault == "" {
					require.Nil(t, refused)
					return
				}
				require.NotNil(t, refused)
				assert.Contains(t, refused.Detail, c.fault)
				assert.False(t, refused.Later())
			})
		}
	}
}

// A bad message among good ones leaves nothing behind, and each keeps what is its own.
func TestBundleOfMany(t *testing.T) {
	b, journal := newTestBundle(t, false)
	sent := time.Now().Add(-time.Hour)
	for i, body := range []string{
		`{"app_id":"a","usage":{"hits":1}}`,
		`[{"app_id":"b","usage":{"hits":2}},{"app_id":"b","usage":{"hits":-2}}]`,
		`[{"app_id":"c","usage":{"hits":3}},{"app_id":"c","usage":{"hits":4},"id":"own"}]`,
	} {
		_, refused := b.Add(Message{ServiceID: "1001", ID: fmt.Sprint("m", i), Sent: sent, Body: []byte(body)})
		assert.Equal(t, i == 1, refused != nil)
	}
	duplicates, refused := b.Append(t.Context())
	require.Nil(t, refused)
	assert.Zero(t, duplicates)
	var ids []string
	for _, e := range journal.take() {
		ids = append(ids, fmt.Sprintf("%s %s %d", e.ID, e.Application.ID, e.Usage[0].Value))
		assert.Equal(t, sent.Unix(), e.Timestamp)
	}
	assert.Equal(t, []string{"m0 a 1", "m2/0 c 3", "own c 4"}, ids)
}

func TestBundleWithoutRoom(t *testing.T) {
	b, journal := newTestBundle(t, false)
	journal.err = &event.Refused{Full: true, RetryAfter: time.Second, Err: fmt.Errorf("quota")}
	_, refused := b.Add(Message{ServiceID: "1001", Body: []byte(`{"app_id":"a","usage":{"hits":1}}`)})
	require.Nil(t, refused)
	_, refused = b.Append(t.Context())
	require.NotNil(t, refused)
	assert.True(t, refused.Later())
	assert.Equal(t, 429, refused.Status)
	journal.err = nil
	_, refused = b.Append(t.Context())
	require.Nil(t, refused, "the same bundle, once there is room")
	assert.Equal(t, uint64(1), b.handler.Stats().Messages.Events)
}
