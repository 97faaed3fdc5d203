package traffic

import (
	"io"
	"net/http"

	"github.com/reporterd/reporterd/internal/memory"
)

// headWeight is how many bytes of memory a byte of a head takes while net/http reads it line by line.
const headWeight = 2

// head is what the heads of a connection's requests take of the memory budget, from their first byte to the answer. All of its
// methods are called by the server's goroutine of the connection.
type head struct {
	account memory.Account
	read    bool // the head of the request was read: what follows is its body
}

// grow reserves memory for n bytes of a head. Bytes of a body are reserved by the handler.
func (h *head) grow(n int) bool {
	return h.account.Budget == nil || h.read || h.account.Grow(int64(n)*headWeight)
}

// state is told of the states of the connection: net/http calls it active once it has read a head, and idle once it has answered.
func (h *head) state(s http.ConnState) {
	if h.account.Budget == nil { // then it may be HTTP/2, which reads and answers in two goroutines
		return
	}
	switch s {
	case http.StateActive:
		h.read = true
	case http.StateIdle, http.StateClosed, http.StateHijacked:
		h.read = false
		h.account.Release()
	}
}

// noMemory is the answer to a request whose head finds no memory.
const noMemory = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// refuseHead answers a request whose head finds no memory, and ends its connection. No handler is running, so nothing else
// writes. Inside TLS there is no answer.
func (c *serverConn) refuseHead() error {
	if !c.secure {
		_, _ = io.WriteString(c.Conn, noMemory) // a client that does not read it sees the connection end
	}
	return io.EOF
}
