package embedded_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// guarded starts a server with two tokens, each for a service, and a daemon that answers requests for usage.
func guarded(t *testing.T) (url string, s *embedded.Server, daemon *nats.Conn) {
	s, err := embedded.Start(t.Context(), embedded.Options{
		Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true, Services: []string{"usage.>", "authorize.>"},
		Authenticate: func(token string) (embedded.Client, error) {
			switch token {
			case "token-a":
				return embedded.Client{Name: "a", Publish: []string{"usage.1001"}}, nil
			case "token-b":
				return embedded.Client{Name: "b", Publish: []string{"usage.>", "authorize.>"}}, nil
			}
			return embedded.Client{}, errors.New("unknown")
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	url = "nats://" + s.Address()
	user, password := s.Login()
	daemon, err = nats.Connect(url, nats.UserInfo(user, password))
	require.NoError(t, err)
	t.Cleanup(daemon.Close)
	return url, s, daemon
}

func client(t *testing.T, url, token string) (c *nats.Conn, refused chan error) {
	refused = make(chan error, 100)
	c, err := nats.Connect(url, nats.Token(token), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, refused
}

// Without a token, or with a wrong one, nothing is taken.
func TestTokensAreAskedFor(t *testing.T) {
	url, _, _ := guarded(t)
	for name, o := range map[string][]nats.Option{
		"none": nil, "wrong": {nats.Token("token-c")}, "the daemon's name": {nats.UserInfo("reporterd", "x")}, "empty": {nats.UserInfo("reporterd", "")},
	} {
		_, err := nats.Connect(url, append(o, nats.NoReconnect())...)
		assert.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
	password, err := nats.Connect(url, nats.UserInfo("anything", "token-a"))
	require.NoError(t, err, "a token is taken as a password, too")
	password.Close()
}

// A client publishes and asks on its subjects, and the daemon learns whose message it is, also when the client claims another name.
func TestClientsReachTheDaemon(t *testing.T) {
	url, _, daemon := guarded(t)
	senders := make(chan string, 10)
	_, err := daemon.QueueSubscribe("usage.>", "reporterd", func(m *nats.Msg) {
		senders <- m.Header.Get(embedded.ClientInfoHeader)
		_ = m.Respond([]byte(m.Reply))
	})
	require.NoError(t, err)
	require.NoError(t, daemon.Flush())
	c, _ := client(t, url, "token-a")
	answer, err := c.Request("usage.1001", []byte("x"), 5*time.Second)
	require.NoError(t, err)
	assert.Regexp(t, "^"+embedded.Inboxes+`\.`, string(answer.Data), "the reply subject is the server's")
	assert.Contains(t, <-senders, `"acc":"client:a"`)
	require.NoError(t, c.PublishMsg(&nats.Msg{Subject: "usage.1001", Header: nats.Header{embedded.ClientInfoHeader: {`{"acc":"client:b"}`}}}))
	require.NoError(t, c.Flush())
	assert.Contains(t, <-senders, `"acc":"client:a"`)
}

// A client reaches no other subject, no stream and no other client, and takes nothing from the daemon.
func TestClientsReachNothingElse(t *testing.T) {
	url, _, daemon := guarded(t)
	own, err := jetstream.New(daemon)
	require.NoError(t, err)
	_, err = own.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DISK", Subjects: []string{"disk.>"}})
	require.NoError(t, err)
	_, err = own.Publish(t.Context(), "disk.1", []byte("x"))
	require.NoError(t, err)

	a, refused := client(t, url, "token-a")
	for _, subject := range []string{"usage.1002", "authorize.1001", "disk.1", "$JS.API.STREAM.PURGE.DISK", "$SYS.REQ.USER.INFO", "$SRV.PING", "_INBOX.x"} {
		require.NoError(t, a.Publish(subject, []byte("{}")))
		require.NoError(t, a.Flush())
		assert.ErrorContains(t, <-refused, "Permissions Violation", subject)
	}
	for _, subject := range []string{">", "usage.>", "$JS.>", "_R_.>", "*.1001"} {
		_, err := a.QueueSubscribeSync(subject, "reporterd")
		require.NoError(t, err)
		require.NoError(t, a.Flush())
		assert.ErrorContains(t, <-refused, "Permissions Violation", subject)
	}
	js, err := jetstream.New(a)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MEM", Storage: jetstream.MemoryStorage, Subjects: []string{"mine.>"}})
	assert.Error(t, err)

	b, _ := client(t, url, "token-b")
	spied, err := a.SubscribeSync("_INBOX.>")
	require.NoError(t, err)
	require.NoError(t, a.Flush())
	_, err = daemon.QueueSubscribe("usage.>", "reporterd", func(m *nats.Msg) { _ = m.Respond([]byte("secret")) })
	require.NoError(t, err)
	require.NoError(t, daemon.Flush())
	_, err = b.Request("usage.1001", []byte("x"), 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, a.Flush())
	messages, _, err := spied.Pending()
	require.NoError(t, err)
	assert.Zero(t, messages, "another client's inbox")

	_, err = own.Stream(t.Context(), "DISK")
	require.NoError(t, err)
}

// A request cannot make the daemon publish to a subject of its own: the client's reply subject stays in the client's account.
func TestReplySubjectStaysOutside(t *testing.T) {
	url, _, daemon := guarded(t)
	own, err := jetstream.New(daemon)
	require.NoError(t, err)
	stream, err := own.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DISK", Subjects: []string{"disk.>"}})
	require.NoError(t, err)
	answered := make(chan struct{}, 1)
	_, err = daemon.Subscribe("usage.>", func(m *nats.Msg) { _ = m.Respond([]byte("x")); answered <- struct{}{} })
	require.NoError(t, err)
	require.NoError(t, daemon.Flush())
	c, _ := client(t, url, "token-a")
	require.NoError(t, c.PublishRequest("usage.1001", "disk.boom", []byte("x")))
	<-answered
	require.NoError(t, daemon.Flush())
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.Zero(t, info.State.Msgs)
}

// A producer publishes to a stream of the daemon and gets its acknowledgement, without any right on JetStream.
func TestClientsPublishToAStream(t *testing.T) {
	url, _, daemon := guarded(t)
	own, err := jetstream.New(daemon)
	require.NoError(t, err)
	stream, err := own.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}})
	require.NoError(t, err)
	c, _ := client(t, url, "token-a")
	js, err := jetstream.New(c)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "usage.1001", []byte("x"))
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, info.State.Msgs)
}

// A client whose token no longer counts, or counts for something else, is disconnected; other clients stay.
func TestRecheck(t *testing.T) {
	url, s, daemon := guarded(t)
	a, _ := client(t, url, "token-a")
	b, _ := client(t, url, "token-b")
	rights := map[string][]string{"a": {"usage.1001"}, "b": {"usage.>", "authorize.>"}}
	current := func(name string) (embedded.Client, error) {
		if rights[name] == nil {
			return embedded.Client{}, errors.New("unknown")
		}
		return embedded.Client{Name: name, Publish: rights[name]}, nil
	}
	require.NoError(t, s.Recheck(current))
	require.NoError(t, a.Flush())
	delete(rights, "a")
	require.NoError(t, s.Recheck(current))
	require.Eventually(t, a.IsClosed, 10*time.Second, time.Millisecond)
	require.NoError(t, b.Flush())
	rights["b"] = rights["b"][:1]
	require.NoError(t, s.Recheck(current))
	require.Eventually(t, b.IsClosed, 10*time.Second, time.Millisecond)
	require.NoError(t, daemon.Flush())
}

// What a client can make the server keep in memory is bounded, also where no token is needed.
func TestStreamsInMemoryAreBounded(t *testing.T) {
	js := connect(t, start(t, t.TempDir()))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MEM", Storage: jetstream.MemoryStorage, MaxBytes: 800 << 20, Subjects: []string{"mine.>"}})
	assert.Error(t, err)
}
