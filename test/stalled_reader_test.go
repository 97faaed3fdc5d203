package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStalledReader: a client asks for the whole ledger as CSV and reads nothing. Booking and other reads of the ledger go on
// beside it, and a stop takes no longer for it.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	d := serve(t, newSettings(t, unreachable).set("stop_timeout", "20s"))
	const requests, applications = 40, 1000
	name := strings.Repeat("n", 200)
	for r := range requests {
		events := make([]event, applications)
		for i := range events {
			events[i] = hit("1001", fmt.Sprintf("%s%d", name, r*applications+i))
		}
		d.send(events...)
	}
	d.flush()
	booked := func(app string) bool {
		rows := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?service_id=1001&app_id="+app, nil).body
		return strings.Contains(string(rows), app)
	}
	eventually(t, time.Minute, "all usage is booked", func() bool { return booked(fmt.Sprintf("%s%d", name, requests*applications-1)) })

	stalled, err := net.Dial("tcp", strings.TrimPrefix(d.admin, "http://"))
	require.NoError(t, err)
	defer func() { _ = stalled.Close() }()
	require.NoError(t, stalled.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = io.WriteString(stalled, "GET /api/v1/ledger?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = io.ReadFull(stalled, make([]byte, 64)) // the answer has begun
	require.NoError(t, err)

	d.send(hit("1001", "later"))
	d.flush()
	eventually(t, 20*time.Second, "what came later is booked", func() bool { return booked("later") })
	begun := time.Now()
	d.stop()
	assert.Less(t, time.Since(begun), 15*time.Second, "a stop does not wait for the client")
}
