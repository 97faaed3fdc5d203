package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const reloadsUnderLoad = 40

// TestReloadUnderLoad: the configuration is read again and again, by call, by signal and because the file changed, some of
// it wrong, while events and authorizations come in. No request fails, no connection is dropped, no event is lost.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url)
	file := s.write(t)
	d := launch(t, file)
	d.ready()
	good, err := os.ReadFile(file)
	require.NoError(t, err)

	var sent, asked, failed, dialled atomic.Int64
	halt := make(chan struct{})
	done := make(chan struct{})
	const workers = 4
	for i := range workers {
		go func() { // ends with halt
			defer func() { done <- struct{}{} }()
			client := countingClient(&dialled)
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-halt:
					return
				default:
				}
				if n%2 == 0 {
					got, err := call(client, http.MethodPost, d.traffic+"/v1/events", "application/json",
						[]byte(fmt.Sprintf(`[{"service_id":"1001","app_id":"app1","usage":{"hits":1},"id":"%d-%d"},{"service_id":"1003","app_id":"appoauth","usage":{"hits":1}}]`, i, n)))
					if err != nil || got.status != http.StatusAccepted {
						failed.Add(1)
						continue
					}
					sent.Add(2)
					continue
				}
				if status := d.authrep(client, "app2", "hits"); status != http.StatusOK {
					failed.Add(1)
					continue
				}
				asked.Add(1)
			}
		}()
	}
	refused := 0
	for n := range reloadsUnderLoad {
		switch n % 4 {
		case 0:
			mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil)
		case 1:
			d.signal(syscall.SIGHUP)
		case 2: // a new file, put in place of the old one, as deployments do
			require.NoError(t, os.WriteFile(file+".new", append(good, fmt.Sprintf("\n# %d\n", n)...), 0o600))
			require.NoError(t, os.Rename(file+".new", file))
		default:
			require.NoError(t, os.WriteFile(file, []byte("services: [{id: \"1001\", tokn: x}]\n"), 0o600))
			mustCall(t, http.StatusUnprocessableEntity, http.MethodPost, d.admin+"/-/reload", nil)
			refused++
			require.NoError(t, os.WriteFile(file, good, 0o600))
		}
		pause(t.Context(), 30*time.Millisecond)
	}
	close(halt)
	for range workers {
		<-done
	}
	assert.Zero(t, failed.Load(), "requests that failed")
	assert.EqualValues(t, workers, dialled.Load(), "connections: none was dropped")
	st := d.drained(15 * time.Second)
	assert.EqualValues(t, sent.Load()+asked.Load(), st.Events.Accepted)
	assert.Equal(t, st.Events.Accepted, st.Events.Delivered)
	t.Logf("%d reloads, %d of them refused, under %d events and %d authorizations: %d requests failed", reloadsUnderLoad, refused, sent.Load(), asked.Load(), failed.Load())
}

// TestFileChange: a file that changes is in force without anybody asking: services, and the log's level.
func TestFileChange(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url).set("services", sandboxServices()[:1])
	file := s.write(t)
	d := launch(t, file)
	d.ready()
	require.Equal(t, http.StatusUnprocessableEntity, d.offer(hit("1003", "appoauth")).status)
	text, err := os.ReadFile(s.set("services", sandboxServices()).set("log.level", "error").write(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	eventually(t, 15*time.Second, "the new service is taken", func() bool { return d.offer(hit("1003", "appoauth")).status == http.StatusAccepted })

	before := len(d.logged())
	require.NoError(t, os.WriteFile(file, append(text, "\n# nothing\n"...), 0o600))
	eventually(t, 15*time.Second, "it was read again", func() bool {
		return strings.Contains(metrics(d), "\nreporterd_config_reloads_total{outcome=\"done\"} 2\n")
	})
	assert.Len(t, d.logged(), before, "nothing below error is written any more")
}

// countingClient counts the connections it makes.
func countingClient(dialled *atomic.Int64) *http.Client {
	var dialer net.Dialer
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Add(1)
			return dialer.DialContext(ctx, network, address)
		},
	}}
}
