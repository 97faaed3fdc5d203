package access

// Connections are how many connections each listener may have at once. As a wish, 0 is no bound.
type Connections struct {
	Traffic, Admin, NATS, Sandbox int
}

// Descriptors divides the file descriptors of the process: what the daemon needs for itself is set aside, and the
// listeners together stay below what is left. So connections, which any client can open, never take the descriptor
// with which the store opens a file.
type Descriptors struct {
	Limit    int // of the process (RLIMIT_NOFILE)
	Reserved int // for files and for connections that the daemon opens itself
	Bound    Connections
}

const (
	// minConnections is what every listener gets in any case, also where the limit is far too low.
	minConnections = 4

	// passing are descriptors between accept and close: a listener accepts a connection before it refuses it, and
	// one that is closed goes when its reader has returned.
	passing = 8
)

// Divide gives each listener what it wishes, as far as that goes: the admin listener has up to an eighth of what is
// left, the embedded NATS server and the sandbox up to a quarter each, the traffic listener the rest. A listener that
// does not exist wishes -1.
func Divide(limit, reserved int, wish Connections) Descriptors {
	d := Descriptors{Limit: limit, Reserved: reserved}
	left := limit - reserved
	share := func(wish, most int) int {
		if wish < 0 {
			return 0
		}
		left -= passing
		n := max(minConnections, most)
		if wish > 0 {
			n = min(n, wish)
		}
		left -= n
		return n
	}
	all := left
	d.Bound.Admin = share(wish.Admin, all/8-passing)
	d.Bound.NATS = share(wish.NATS, all/4-passing)
	d.Bound.Sandbox = share(wish.Sandbox, all/4-passing)
	d.Bound.Traffic = share(wish.Traffic, left-passing)
	return d
}
