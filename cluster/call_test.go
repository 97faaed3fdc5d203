package cluster

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
)

// answering starts a replica that answers for the only partition, and another that does not have it, on a server
// with the limits that it comes with.
func answering(t *testing.T, news []byte, answer func(kind string, data []byte) ([]byte, error)) (other *Node) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	var nodes []*Node
	for range 2 {
		conn, err := nats.Connect(s.ClientURL())
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		n, err := Start(t.Context(), Options{
			Conn: conn, Prefix: "c", Partitions: 1, Replicas: 1, PinTTL: 30 * time.Second,
			Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
				return Member{
					Stop:   func(context.Context, bool) {},
					News:   func() []byte { return news },
					Answer: func(_ context.Context, kind string, data []byte) ([]byte, error) { return answer(kind, data) },
				}, nil
			},
		})
		require.NoError(t, err)
		t.Cleanup(func() { n.Stop(context.Background()) })
		nodes = append(nodes, n)
	}
	require.Eventually(t, func() bool { return nodes[0].Unowned() == 0 && nodes[1].Unowned() == 0 }, 20*time.Second, 10*time.Millisecond)
	if _, here := nodes[0].Local(0); here {
		return nodes[1]
	}
	return nodes[0]
}

// ask calls the owner of the partition. On a busy machine it may move meanwhile, and the answer not come.
func ask(t *testing.T, n *Node, kind string, data []byte) (answer []byte, err error) {
	t.Helper()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		answer, err = n.Call(ctx, 0, kind, data, 5*time.Second)
		cancel()
		if !errors.Is(err, ErrUnanswered) && !errors.Is(err, ErrNoOwner) {
			break
		}
	}
	return answer, err
}

// TestCallsOfAnySize: calls and answers larger than the servers let through arrive whole.
func TestCallsOfAnySize(t *testing.T) {
	news := append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, 2<<20)...), '"') // they hide no replica
	n := answering(t, news, func(kind string, data []byte) ([]byte, error) {
		if kind != "echo" {
			return nil, errors.New("no")
		}
		return append(data, "!"...), nil
	})
	most, chacha := n.maxData(), rand.NewChaCha8([32]byte{})
	for _, size := range []int{0, 1, most - 1, most, most + 1, 2 * most, 2*most + 1, 3*most + 5} {
		data := make([]byte, size)
		chacha.Read(data)
		answer, err := ask(t, n, "echo", data)
		require.NoError(t, err, size)
		require.True(t, bytes.Equal(append(data, "!"...), answer), size)
		_, err = ask(t, n, "else", data)
		assert.EqualError(t, err, "no", size)
	}
}

// TestPartsAreBounded: what is never finished is forgotten, and what is too much is refused before anything is done.
func TestPartsAreBounded(t *testing.T) {
	var p parts
	now := time.Now()
	part := make([]byte, maxPartBytes/4)
	for i := range 4 {
		require.NoError(t, p.add("a", i, part, now))
	}
	require.ErrorContains(t, p.add("b", 0, part, now), "nothing was done")
	require.ErrorIs(t, p.add("a", 9, nil, now), errParts)
	require.NoError(t, p.add("b", 0, part, now.Add(2*partsLife)), "the first was forgotten")
	_, err := p.join("a", 4, nil)
	require.ErrorIs(t, err, errParts)
	whole, err := p.join("b", 1, []byte("end"))
	require.NoError(t, err)
	assert.Len(t, whole, len(part)+3)
	assert.Zero(t, p.bytes)
	assert.Empty(t, p.lists)
}

// TestReadOutlivesItsOwner: a question to an owner that is killed before it answers is answered by the next one, and not only when its
// time is over.
func TestReadOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	var killed atomic.Int32 // the replica that does not answer; -1: all answer
	killed.Store(-1)
	asked := make(chan struct{}, 1)
	var nodes []*Node
	var conns []*nats.Conn
	for i := range 2 {
		conn, err := nats.Connect(s.ClientURL())
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		answer := func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			if killed.Load() == int32(i) {
				asked <- struct{}{}
				<-ctx.Done()
			}
			return []byte("an answer"), ctx.Err()
		}
		n, err := Start(t.Context(), Options{
			Conn: conn, Prefix: "c", Partitions: 1, Replicas: 1, PinTTL: 3 * time.Second,
			Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
				return Member{Stop: func(context.Context, bool) {}, News: func() []byte { return []byte("null") }, Answer: answer}, nil
			},
		})
		require.NoError(t, err)
		nodes, conns = append(nodes, n), append(conns, conn)
	}
	require.Eventually(t, func() bool { return nodes[0].Unowned() == 0 && nodes[1].Unowned() == 0 }, 20*time.Second, 10*time.Millisecond)
	other := 0
	if _, here := nodes[0].Local(0); here {
		other = 1
	}
	killed.Store(int32(1 - other))
	go func() { // ends with the test's reading of asked
		<-asked
		conns[1-other].Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second) // less than answerTime
	defer cancel()
	answer, err := nodes[other].Read(ctx, 0, "any", nil, 20*time.Second)
	require.NoError(t, err)
	assert.Equal(t, "an answer", string(answer))
	nodes[other].Stop(context.Background())
}
