package nats_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/reporterd/reporterd/event"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const one = `{"app_id":"app1","usage":{"hits":1}}`

func TestPublish(t *testing.T) {
	r := newRig(t, "")
	r.publish("usage.1001", "", one)
	r.publish("usage.1001", "", "["+one+","+one+"]")
	r.publish("usage.1001", "", `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`)
	r.publish("usage.a.b", "", one)
	r.eventually("counted", func() bool { return r.count() == 5 })
}

func TestRequest(t *testing.T) {
	r := newRig(t, "")
	for _, c := range []struct{ name, subject, id, body, code, want string }{
		{"one", "usage.1001", "", one, "", `{"accepted":1,"duplicates":0}`},
		{"an id", "usage.1001", "m1", one, "", `{"accepted":1,"duplicates":0}`},
		{"the id again", "usage.1001", "m1", one, "", `{"accepted":0,"duplicates":1}`},
		{"many, one id", "usage.1001", "m2", "[" + one + "," + one + "]", "", `{"accepted":2,"duplicates":0}`},
		{"many, the id again", "usage.1001", "m2", "[" + one + "," + one + "]", "", `{"accepted":0,"duplicates":2}`},
		{"another service", "usage.1001", "", `{"service_id":"a.b","app_id":"app1","usage":{"hits":1}}`, "422", ""},
		{"unknown service", "usage.9", "", one, "422", ""},
		{"no JSON", "usage.1001", "", "{", "400", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := r.ask(c.subject, c.id, c.body)
			assert.Equal(t, c.code, answer.Header.Get(micro.ErrorCodeHeader))
			if c.want != "" {
				assert.JSONEq(t, c.want, string(answer.Data))
				return
			}
			assert.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
			assert.Contains(t, string(answer.Data), `"status":`+c.code)
			assert.NotEmpty(t, answer.Header.Get(micro.ErrorHeader))
		})
	}
	assert.Empty(t, r.kept(), "who waits for an answer has the message still")
}

// A plain publish that can never be taken is kept, and the rest of its group is taken.
func TestBadPublish(t *testing.T) {
	r := newRig(t, "")
	r.publish("usage.1001", "", one)
	r.publish("usage.1001", "m9", `{"app_id":"app1","usage":{"hits":-1}}`)
	r.publish("usage.1001", "", one)
	r.eventually("kept", func() bool { return len(r.kept()) == 1 })
	r.eventually("the other messages are counted", func() bool { return r.count() == 2 })
	l := r.kept()[0]
	assert.Equal(t, "invalid_message", l.Code)
	assert.Contains(t, l.Detail, "usage.hits must not be negative")
	assert.Equal(t, "m9", l.ID)
	assert.Equal(t, `{"app_id":"app1","usage":{"hits":-1}}`, string(l.Payload))
	assert.Equal(t, uint64(1), r.Stats().Refused["invalid_message"])
}

var full = &event.Refused{Full: true, RetryAfter: time.Second, Err: errors.New("quota")}

// While there is no room, requests are told so, and publishes wait until there is.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.fail(full, false)
	r.publish("usage.1001", "", one)
	answer := r.ask("usage.1001", "", one)
	assert.Equal(t, "429", answer.Header.Get(micro.ErrorCodeHeader))
	assert.Equal(t, "1", answer.Header.Get("Retry-After"))
	r.fail(nil, false)
	r.eventually("counted once there is room", func() bool { return r.count() == 1 })
	assert.Zero(t, r.Stats().Dropped)
}

// The server goes and comes back: the bridge reports it, and reconnects by itself.
func TestServerComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	address := r.server.Address()
	stopServer(t, r.server)
	r.eventually("the failure is reported", func() bool { return r.Health() != nil })
	r.server = serverAt(t, r.dir, address)
	r.eventually("connected again", func() bool { return r.Health() == nil && r.client.IsConnected() })
	assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, string(r.ask("usage.1001", "", one).Data))
	assert.Equal(t, uint64(1), r.Stats().Losses)
}

// A daemon that starts before its server is connected once there is one.
func TestServerComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	first := r.Bridge
	address := r.server.Address()
	stopServer(t, r.server)
	b, err := ingestnats.Open(ingestnats.Options{URL: "nats://" + address, Subject: "usage.>", Handler: discard()})
	require.NoError(t, err)
	defer r.stop(b)
	require.Error(t, b.Health())
	r.server = serverAt(t, r.dir, address)
	r.eventually("both are connected", func() bool { return b.Health() == nil && first.Health() == nil })
}

// What was taken in before a stop is answered.
func TestStopFinishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	for range 500 {
		require.NoError(t, r.client.Publish("usage.1001", []byte(one)))
	}
	require.NoError(t, r.client.Flush())
	r.stop(r.Bridge)
	assert.Equal(t, 500, r.count())
}

func TestMicroService(t *testing.T) {
	r := newRig(t, "")
	r.ask("usage.1001", "", one)
	var stats micro.Stats
	answer, err := r.client.Request("$SRV.STATS.reporterd", nil, 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer.Data, &stats))
	require.Len(t, stats.Endpoints, 1)
	assert.Equal(t, "usage.>", stats.Endpoints[0].Subject)
	assert.Equal(t, 1, stats.Endpoints[0].NumRequests)
	assert.Contains(t, string(stats.Endpoints[0].Data), `"connected":true`)
}

// nats micro stats counts requests that are refused, each as an error with what was answered last.
func TestMicroServiceCountsErrors(t *testing.T) {
	r := newRig(t, "")
	r.ask("usage.1001", "", one)
	r.ask("usage.9", "", one)
	r.ask("usage.1001", "", "{")
	var stats micro.Stats
	answer, err := r.client.Request("$SRV.STATS", nil, 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer.Data, &stats))
	assert.Equal(t, micro.StatsResponseType, stats.Type)
	require.Len(t, stats.Endpoints, 1)
	assert.Equal(t, 3, stats.Endpoints[0].NumRequests)
	assert.Equal(t, 2, stats.Endpoints[0].NumErrors)
	assert.Regexp(t, "^400: .+", stats.Endpoints[0].LastError)
	assert.Positive(t, stats.Endpoints[0].ProcessingTime)
}

// What finds services finds this one, by each of its names.
func TestMicroServiceIsFound(t *testing.T) {
	r := newRig(t, "")
	var ping micro.Ping
	answer, err := r.client.Request("$SRV.PING", nil, 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer.Data, &ping))
	assert.Equal(t, micro.PingResponseType, ping.Type)
	assert.Equal(t, "reporterd", ping.Name)
	var info micro.Info
	answer, err = r.client.Request("$SRV.INFO.reporterd."+ping.ID, nil, 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer.Data, &info))
	assert.Equal(t, micro.InfoResponseType, info.Type)
	assert.Contains(t, info.Description, "Takes usage for 3scale")
	require.Len(t, info.Endpoints, 1)
	assert.Equal(t, []string{"usage", "usage.>", "reporterd"}, []string{info.Endpoints[0].Name, info.Endpoints[0].Subject, info.Endpoints[0].QueueGroup})
}

func TestSubjects(t *testing.T) {
	for _, pattern := range []string{"usage.>", "usage.*", "a.*.usage.>"} {
		_, err := ingestnats.ParseSubject(pattern)
		assert.NoError(t, err, pattern)
	}
	for _, pattern := range []string{"", "usage", ">", "usage.>.x", "usage..>", "usage.x", "us age.>", "usage.x*"} {
		_, err := ingestnats.ParseSubject(pattern)
		assert.Error(t, err, pattern)
	}
}

// An answer is published with the daemon's rights: a request must not choose where to.
func TestAnswersGoToInboxesOnly(t *testing.T) {
	r := newRig(t, "")
	r.stop(r.Bridge)
	r.questions = []ingestnats.Question{{Name: "authorize", Subject: "authorize.>", Path: "/v1/authorize", Handler: http.NotFoundHandler()}}
	r.open("")
	js := r.jet()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "other.1", []byte("kept"))
	require.NoError(t, err)
	heard, err := r.client.SubscribeSync(">")
	require.NoError(t, err)
	replies := []string{
		"$JS.API.STREAM.PURGE.OTHER", "$SYS.REQ.ACCOUNT.PING", "reporterd.disk.0.f.boom", "usage.1001", "usage.9", "authorize.1001", "other.2",
		"_INBOX", "_INBOX.", "_INBOX..x", "_INBOX.*", "_INBOX.>", "_INBOXES.x", "x._INBOX.y",
	}
	for _, subject := range []string{"usage.1001", "usage.9", "authorize.1001"} { // taken, refused, asked
		for _, reply := range replies {
			require.NoError(t, r.client.PublishRequest(subject, reply, []byte(one)))
		}
	}
	r.eventually("all are counted", func() bool { return r.Stats().Refused["reply_subject"] == 3*uint64(len(replies)) })
	assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, string(r.ask("usage.1001", "", one).Data), "an inbox is answered")
	assert.Equal(t, 1, r.count(), "what cannot be answered is not taken: its sender repeats it")
	r.stop(r.Bridge)
	require.NoError(t, r.client.Flush())
	for {
		m, err := heard.NextMsg(50 * time.Millisecond)
		if err != nil {
			break
		}
		if strings.HasPrefix(m.Subject, "_INBOX.") || strings.HasPrefix(m.Subject, "$JS.EVENT.ADVISORY.") {
			continue // the client's own; the server's, about the stream, which may come late
		}
		assert.Equal(t, one, string(m.Data), "only the test publishes to %s", m.Subject)
	}
	assert.Equal(t, uint64(1), r.left("OTHER"))
}
