// Package systemd reports the daemon's state to the service manager, in the terms of sd_notify(3): ready, reloading, stopping, a
// status line, and watchdog signals.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier sends notifications to the service manager. It is safe for concurrent use. All methods of a nil Notifier do nothing.
type Notifier struct {
	every time.Duration // interval of watchdog signals; 0: none requested

	mu     sync.Mutex // guards the fields below
	conn   *net.UnixConn
	status string // the last
}

// New returns a Notifier for the manager that started this process, or nil if none wants notifications. It removes the variables
// from the environment, so that no child process sends notifications in its place.
func New() (*Notifier, error) {
	address := os.Getenv("NOTIFY_SOCKET")
	watchdog, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(name)
	}
	if address == "" {
		return nil, nil
	}
	if strings.HasPrefix(address, "@") {
		address = "\x00" + address[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("systemd: notification socket: %w", err)
	}
	n := &Notifier{conn: conn}
	if micros, err := strconv.ParseInt(watchdog, 10, 64); err == nil && micros > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.every = time.Duration(micros) * time.Microsecond / 2
	}
	return n, nil
}

// Every returns the interval at which the manager expects watchdog signals; 0: none.
func (n *Notifier) Every() time.Duration {
	if n == nil {
		return 0
	}
	return n.every
}

// Ready reports that the daemon is working, also after a reload.
func (n *Notifier) Ready() { n.tell("READY=1") }

// Reloading reports that a reload begins; Ready ends it.
func (n *Notifier) Reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
}

// Stopping reports that the daemon stops.
func (n *Notifier) Stopping() { n.tell("STOPPING=1") }

// Alive sends a watchdog signal.
func (n *Notifier) Alive() { n.tell("WATCHDOG=1") }

// Status sends a status line, if it differs from the last one.
func (n *Notifier) Status(line string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	same := line == n.status
	n.status = line
	n.mu.Unlock()
	if !same {
		n.tell("STATUS=" + strings.ReplaceAll(line, "\n", " "))
	}
}

// tell sends a message. An error is ignored: the daemon works without the manager.
func (n *Notifier) tell(message string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = n.conn.Write([]byte(message))
}
