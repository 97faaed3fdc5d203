package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipes is a listener in memory, whose connections tell fake time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c := <-p; c != nil {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// servePipes serves a handler, in a bubble, as the traffic listener does. dial returns the client's end of a connection.
func servePipes(t *testing.T, h *Handler) (dial func() net.Conn) {
	p := make(pipes)
	server := &http.Server{Handler: h, ReadTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(p) }()
	t.Cleanup(func() {
		p <- nil
		<-ended
		require.NoError(t, server.Close())
		<-time.After(time.Second) // net/http lingers on connections that it closes
	})
	return func() net.Conn {
		client, far := net.Pipe()
		p <- far
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
}

// unfinished sends all but the last byte of a request, or as much of it as the server takes.
func unfinished(c net.Conn, path, body string) {
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", path, len(body)+1); err == nil {
		_, _ = io.WriteString(c, body)
	}
}

// status reads one answer.
func status(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	reply, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	return reply.StatusCode, string(body)
}

func postEvent(t *testing.T, dial func() net.Conn, body string) int {
	c := dial()
	unfinished(c, "/v1/events", body[:len(body)-1])
	_, err := io.WriteString(c, body[len(body)-1:])
	require.NoError(t, err)
	code, _ := status(t, c)
	require.NoError(t, c.Close())
	return code
}

// TestUnfinishedBodiesRefuseNoOthers: clients that leave out the last byte of large bodies take no memory from small requests,
// and do not keep theirs.
func TestUnfinishedBodiesRefuseNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHandler(Options{Services: []Service{{ID: "1001", Credentials: credentials("stoken1001")}}, Journal: &memJournal{seen: map[string]bool{}}})
		dial := servePipes(t, h)
		report := tokened + "transactions[0][app_id]=A" + strings.Repeat("&", 7<<20)
		hogs := []net.Conn{}
		for range 6 {
			c := dial()
			go unfinished(c, "/transactions.xml", report) // ends with the connection, or before
			hogs = append(hogs, c)
		}
		synctest.Wait()
		for range 168 {
			require.Equal(t, 202, postEvent(t, dial, small))
		}
		assert.LessOrEqual(t, h.memory.Used(), h.memory.Total())
		begun := time.Now()
		for _, c := range hogs {
			code, _ := status(t, c)
			assert.Contains(t, []int{408, 503}, code)
			_ = c.Close()
		}
		assert.LessOrEqual(t, time.Since(begun), 2*progressTime)
		synctest.Wait()
		assert.Zero(t, h.memory.Used())
	})
}

// TestSlowBodies: a body may take as long as it progresses, and is cut off when it does not.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: &memJournal{seen: map[string]bool{}}})
		dial := servePipes(t, h)
		slow, body := dial(), "["+small+strings.Repeat(" ", 2<<20)+"]"
		done := make(chan error, 1)
		go func() { // 60 KiB a second: 35 s
			_, err := fmt.Fprintf(slow, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
			for rest := body; rest != "" && err == nil; {
				n := min(len(rest), 60<<10)
				_, err = io.WriteString(slow, rest[:n])
				rest = rest[n:]
				<-time.After(time.Second)
			}
			done <- err
		}()
		code, _ := status(t, slow)
		require.NoError(t, <-done)
		assert.Equal(t, 202, code, "it progressed")
		stuck := dial()
		unfinished(stuck, "/v1/events", body)
		code, _ = status(t, stuck)
		assert.Equal(t, 408, code)
	})
}

// TestCredentialsOfLargeReports: a large report whose first bytes have no credentials, or wrong ones, is refused without the rest.
func TestCredentialsOfLargeReports(t *testing.T) {
	rest := "&transactions[0][app_id]=A" + strings.Repeat("&", 1<<20)
	for name, c := range map[string]struct {
		target, begin string
		code          int
		answer        string
	}{
		"none":         {"/transactions.xml", "x=1", 413, "must begin with its credentials"},
		"wrong":        {"/transactions.xml", "service_id=1001&service_token=no", 403, "service token"},
		"in the query": {"/transactions.xml?service_id=1001&service_token=no", "x=1", 403, "service token"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHandler(Options{Services: []Service{{ID: "1001", Credentials: credentials("stoken1001")}}, Journal: &memJournal{}})
				conn := servePipes(t, h)()
				go func() { // ends with the answer, behind which the connection is closed
					_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s%s", c.target, 8<<20, c.begin, rest)
				}()
				code, body := status(t, conn)
				assert.Equal(t, c.code, code)
				assert.Contains(t, body, c.answer)
				_ = conn.Close()
			})
		})
	}
}
