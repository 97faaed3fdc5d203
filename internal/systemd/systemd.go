// Package systemd tells the service manager how the daemon is, in the words of sd_notify(3): ready, reloading, stopping,
// a line of status, and that it is alive.
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

// Notifier tells the manager. It is safe for concurrent use. A nil one has nobody to tell, and all its methods do nothing.
type Notifier struct {
	every time.Duration // between two signs of life; 0: none are asked for

	mu     sync.Mutex // guards what follows
	conn   *net.UnixConn
	status string // the last
}

// New returns who tells the manager that started this process, or nil where none asks to be told. It takes the variables
// out of the environment, so that no child of the process speaks for it.
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

// Every is how often the manager wants a sign of life; 0: never.
func (n *Notifier) Every() time.Duration {
	if n == nil {
		return 0
	}
	return n.every
}

// Ready says that the daemon does its work, or does it again after a reload.
func (n *Notifier) Ready() { n.tell("READY=1") }

// Reloading says that a reload begins; Ready ends it.
func (n *Notifier) Reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
}

// Stopping says that the daemon ends.
func (n *Notifier) Stopping() { n.tell("STOPPING=1") }

// Alive is a sign of life.
func (n *Notifier) Alive() { n.tell("WATCHDOG=1") }

// Status is a line for people, sent when it is another than before.
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

// tell sends a message. What the manager does not take is nobody's loss.
func (n *Notifier) tell(message string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = n.conn.Write([]byte(message))
}
