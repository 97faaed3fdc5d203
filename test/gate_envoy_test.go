package test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// envoy asks a daemon's gate as Envoy does.
func envoy(t *testing.T, g *gateway) func(id, host, target, header string) int {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+g.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client := authv3.NewAuthorizationClient(conn)
	return func(id, host, target, header string) int {
		fields := map[string]string{":method": "GET", ":path": target, ":authority": host}
		for line := range strings.SplitSeq(strings.TrimSuffix(header, "\r\n"), "\r\n") {
			if name, value, ok := strings.Cut(strings.ToLower(line), ": "); ok {
				fields[name] = strings.TrimPrefix(fields[name]+","+value, ",") // as Envoy does with a field that is there twice
			}
		}
		got, err := client.Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
			Http: &authv3.AttributeContext_HttpRequest{Id: id, Method: http.MethodGet, Path: target, Host: host, Headers: fields},
		}}}, grpc.WaitForReady(true))
		if !assert.NoError(t, err) {
			return 0
		}
		if got.GetStatus().GetCode() == 0 {
			return http.StatusOK
		}
		return int(got.GetDeniedResponse().GetStatus().GetCode())
	}
}

// TestGateEnvoy: the matrix of the proxies by Envoy's gRPC call; what is asked again counts once, and a daemon that is killed after each
// yes has counted it.
func TestGateEnvoy(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.applications(t)
	check := envoy(t, g)
	passed := uint64(0)
	for i, c := range gatewayCases {
		want := c.status
		if c.name == "two ids" {
			want = http.StatusForbidden // Envoy makes one value of them, which no application has
		}
		assert.Equal(t, want, check(strconv.Itoa(i), c.host, c.target, c.header), c.name)
		if c.status == http.StatusOK {
			passed++
		}
		assert.Equal(t, passed, g.daemon.status().Events.Accepted, "%s: calls that were counted", c.name)
	}
	for range 3 {
		assert.Equal(t, http.StatusOK, check("again", "api.example.com", "/search?user_key=ukey1", ""))
	}
	passed++
	assert.Equal(t, passed, g.daemon.status().Events.Accepted, "asked three times")
	for i := range 3 {
		assert.Equal(t, http.StatusOK, check("kill"+strconv.Itoa(i), "api.example.com", "/search?user_key=ukey1", ""))
		passed++
		g.daemon.kill()
		g.daemon = serve(t, g.config)
	}
	assert.Equal(t, passed, g.daemon.status().Events.Accepted)
}

// TestGateEnvoyRestart: a daemon that is stopped and started under Envoy's calls ends its connections such that each call is answered,
// and has counted what it granted.
func TestGateEnvoyRestart(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var granted atomic.Int64
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for worker := range 4 {
		check := envoy(t, g)
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if assert.Equal(t, http.StatusOK, check(fmt.Sprint(worker, "-", i), "api.example.com", "/search?user_key=ukey1", "")) {
					granted.Add(1)
				}
			}
		})
	}
	for range 2 {
		before := granted.Load()
		eventually(t, 20*time.Second, "calls are granted", func() bool { return granted.Load() > before+50 })
		g.daemon.stop()
		g.daemon = serve(t, g.config)
	}
	close(stop)
	callers.Wait()
	assert.EqualValues(t, granted.Load(), g.daemon.status().Events.Accepted)
}
