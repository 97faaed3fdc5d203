package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cutter passes questions on to a daemon, and cuts the connection where the answer to a new one is on its way.
type cutter struct {
	to   string
	left atomic.Int64 // answers that are still to be lost
}

// cut listens at a socket and passes on to another one, until the test ends.
func cut(t *testing.T, at, to string) *cutter {
	t.Helper()
	c := &cutter{to: to}
	l, err := net.Listen("unix", at)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(at, 0o666)) // nginx's workers are another user's
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.pass(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return c
}

// pass ends with either connection.
func (c *cutter) pass(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	daemon, err := net.Dial("unix", c.to)
	if err != nil {
		return
	}
	defer func() { _ = daemon.Close() }()
	go func() {
		_, _ = io.Copy(daemon, conn)
		_ = daemon.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := daemon.Read(buffer)
		if err != nil || c.left.Add(-1) >= 0 {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// worst is what makes each proxy repeat a question whenever it can: to the same daemon by another way.
func worst(name, socket, second string) func(string) string {
	return func(text string) string {
		switch name {
		case "nginx":
			text = strings.Replace(text, "unix:"+socket+";", "unix:"+socket+" max_fails=0;\n    server unix:"+second+" max_fails=0;", 1)
			return strings.Replace(text, "proxy_next_upstream off;", "proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404 http_429 non_idempotent;", 1)
		case "caddy":
			return strings.Replace(text, "uri /gate", "lb_try_duration 2s\n lb_try_interval 10ms\n uri /gate", 1)
		}
		text = strings.Replace(text, "unix@"+socket, "unix@"+socket+".inner", 1)
		return strings.Replace(text, "\nbackend origin\n", fmt.Sprintf("\nlisten gate\n bind unix@%s.inner\n retries 5\n option redispatch\n retry-on all-retryable-errors\n"+
			" server a unix@%[1]s\n server b unix@%s\nbackend origin\n", socket, second), 1)
	}
}

// TestGatewayRetries: an answer that is lost on its way makes a proxy ask again, or not, by its settings. Each call is counted once.
func TestGatewayRetries(t *testing.T) {
	gateways(t, func(t *testing.T, name string) {
		for way, edit := range map[string]func(string) string{
			"as documented":   nil,
			"by its defaults": nil,
			"at its worst":    nil,
		} {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				g := newGateway(t)
				asked := g.socket
				g.socket = filepath.Join(g.dir, "cut")
				second := filepath.Join(g.dir, "cut2")
				first, other := cut(t, g.socket, asked), cut(t, second, asked)
				switch {
				case way == "at its worst":
					edit = worst(name, g.socket, second)
				case way == "by its defaults" && name == "nginx":
					edit = func(text string) string {
						return strings.Replace(twoDaemons(name, g.socket, second)(text), "        proxy_next_upstream error;\n", "", 1)
					}
				}
				g.open(t, name, edit)
				const calls = 10
				statuses := map[int]int{}
				for i := range calls {
					first.left.Store(int64(i % 3)) // none, one or two answers are lost on this way
					other.left.Store(int64(i % 2))
					status, _, _ := g.get(t, "api.example.com", "/search?user_key=ukey1")
					statuses[status]++
				}
				events := g.daemon.status().Events
				assert.EqualValues(t, calls, events.Accepted, "each call is counted once: %v", statuses)
				assert.Equal(t, statuses[http.StatusOK], g.reached(), "what the origin saw")
				assert.NotZero(t, statuses[http.StatusOK])
				t.Logf("%d calls: statuses %v, %d questions repeated", calls, statuses, events.Duplicates)
			})
		}
	})
}

// TestGatewayKills: a daemon that is killed after each yes has counted what it granted.
func TestGatewayKills(t *testing.T) {
	gateways(t, func(t *testing.T, name string) {
		g := newGateway(t)
		g.open(t, name, nil)
		granted := 0
		for range 6 {
			for {
				status, _, _ := g.get(t, "api.example.com", "/search?user_key=ukey1")
				if status == http.StatusOK {
					break // the first ones after a kill may meet a connection of before
				}
			}
			granted++
			g.daemon.kill()
			g.daemon = serve(t, g.config)
		}
		assert.EqualValues(t, granted, g.daemon.status().Events.Accepted)
		assert.Equal(t, granted, g.reached())
	})
}

// twoDaemons is what each proxy needs to ask two daemons in turn.
func twoDaemons(name, socket, second string) func(string) string {
	return func(text string) string {
		if name == "nginx" {
			text = strings.Replace(text, "unix:"+socket+";", "unix:"+socket+" max_fails=0;\n    server unix:"+second+" max_fails=0;", 1)
			return strings.Replace(text, "proxy_next_upstream off;", "proxy_next_upstream error;", 1)
		}
		text = strings.Replace(text, "unix@"+socket, "unix@"+socket+".inner", 1)
		return strings.Replace(text, "\nbackend origin\n", fmt.Sprintf("\nlisten gate\n bind unix@%s.inner\n option redispatch\n option httpchk GET /readyz\n"+
			" server a unix@%[1]s check inter 200ms\n server b unix@%s check inter 200ms\nbackend origin\n", socket, second), 1)
	}
}

// TestGatewayRollingRestart: two daemons behind one proxy are restarted one after the other, under load. No call is refused, and what
// was granted is counted.
func TestGatewayRollingRestart(t *testing.T) {
	gateways(t, func(t *testing.T, name string) {
		if name == "caddy" {
			t.Skip("nginx and HAProxy ask two daemons")
		}
		g := newGateway(t)
		g.daemon.kill()
		second := filepath.Join(g.dir, "second")
		daemons := make([]*daemon, 2)
		for i, socket := range []string{g.socket, second} {
			daemons[i] = serve(t, g.settings(t, socket).set("stop_delay", "1500ms"))
		}
		files := [2]string{daemons[0].cmd.Args[3], daemons[1].cmd.Args[3]}
		g.open(t, name, twoDaemons(name, g.socket, second))
		refused, granted := &sync.Map{}, atomic.Int64{}
		stop := make(chan struct{})
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				client := newClient()
				for {
					select {
					case <-stop:
						return
					default:
					}
					got, err := call(client, http.MethodGet, "http://127.0.0.1:"+g.port+"/search?user_key=ukey1", "", nil)
					if err == nil && got.status == http.StatusOK {
						granted.Add(1)
					} else {
						refused.Store(fmt.Sprint(got.status, err), got.body)
					}
				}
			})
		}
		for i := range daemons {
			before := granted.Load()
			eventually(t, 20*time.Second, "calls are granted", func() bool { return granted.Load() > before+50 })
			daemons[i].stop()
			daemons[i] = launch(t, files[i])
			daemons[i].ready()
		}
		before := granted.Load()
		eventually(t, 20*time.Second, "calls are granted", func() bool { return granted.Load() > before+50 })
		close(stop)
		callers.Wait()
		refused.Range(func(status, body any) bool { return assert.Fail(t, "refused", "%v %v", status, body) })
		assert.EqualValues(t, granted.Load(), daemons[0].status().Events.Accepted+daemons[1].status().Events.Accepted)
		t.Logf("%d calls granted over two restarts", granted.Load())
	})
}
