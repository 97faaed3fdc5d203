package nats_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documented starts a server with the accounts that the manual shows.
func documented(t *testing.T) (url string) {
	text, err := os.ReadFile("../../docs/nats.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```\n(accounts \\{.*?)```").FindSubmatch(text)
	require.NotNil(t, block, "docs/nats.md has a block with accounts")
	config := strings.NewReplacer("$DAEMON", `"daemon"`, "$PRODUCER", `"producer"`).Replace(string(block[1]))
	config += "\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: \"" + t.TempDir() + "\" }\n"
	file := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	return s.ClientURL()
}

// TestLeastRights: daemon and producer work with the rights that the manual gives them, with a stream and without, and a producer
// reaches nothing else.
func TestLeastRights(t *testing.T) {
	for _, stream := range []string{"", "USAGE"} {
		t.Run("stream "+stream, func(t *testing.T) { leastRights(t, stream) })
	}
}

func leastRights(t *testing.T, stream string) {
	url := documented(t)
	journal := newMemory()
	r := &rig{t: t, memory: journal}
	h := ingest.NewHandler(ingest.Options{Services: []ingest.Service{{ID: "1001"}}, Journal: journal})
	b, err := ingestnats.Open(ingestnats.Options{
		URL: url, Subject: "usage.>", Stream: stream, Durable: "reporterd", Handler: h, DeadLetters: r.keep,
		Login: ingestnats.Login{User: "reporterd", Password: "daemon"}, Questions: []ingestnats.Question{{Name: "authorize", Subject: "authorize.>", Path: "/v1/authorize", Handler: h}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { r.stop(b) })
	r.eventually("the daemon has what it needs", func() bool { return b.Health() == nil })

	refused := make(chan error, 100)
	producer, err := nats.Connect(url, nats.UserInfo("producer", "producer"), nats.CustomInboxPrefix("_INBOX.producer"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	t.Cleanup(producer.Close)
	js, err := jetstream.New(producer)
	require.NoError(t, err)
	for range 3 {
		if stream == "" {
			answer, err := producer.Request("usage.1001", []byte(one), 5*time.Second)
			require.NoError(t, err)
			assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, string(answer.Data))
		} else {
			_, err := js.Publish(t.Context(), "usage.1001", []byte(one))
			require.NoError(t, err)
		}
	}
	answer, err := producer.Request("authorize.1001", []byte(`{}`), 5*time.Second)
	require.NoError(t, err)
	assert.NotEmpty(t, answer.Data)
	r.eventually("all is counted", func() bool { return r.count() == 3 })
	if stream != "" {
		r.eventually("all is acknowledged", func() bool { return b.Stats().Stream.Acknowledged == 3 })
	}
	assert.Zero(t, b.Stats().Stream.Redelivered)

	for _, subject := range []string{"usage.1002", "$JS.API.STREAM.PURGE.USAGE", "$JS.ACK.USAGE.reporterd.1.1.1.1.1", "_INBOX.other.x", "$SRV.PING"} {
		require.NoError(t, producer.Publish(subject, nil))
		require.NoError(t, producer.Flush())
		assert.ErrorContains(t, <-refused, "Permissions Violation", subject)
	}
	for _, subject := range []string{">", "usage.>", "_INBOX.>", "$JS.>"} {
		_, err := producer.QueueSubscribeSync(subject, "reporterd")
		require.NoError(t, err)
		require.NoError(t, producer.Flush())
		assert.ErrorContains(t, <-refused, "Permissions Violation", subject)
	}
}
