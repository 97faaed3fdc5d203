package access

// Connections are limits on open connections, of each listener. In a request to Divide, 0 means unlimited.
type Connections struct {
	Traffic, Admin, NATS, Sandbox int
}

// Descriptors are the limits on file descriptors: the daemon's own are reserved, and the listeners together stay below the
// rest. Connections, which any client can open, therefore never use the descriptor that the spool needs to open a file.
type Descriptors struct {
	Limit    int // of the process (RLIMIT_NOFILE)
	Reserved int // for files and for connections that the daemon opens itself
	Bound    Connections
}

const (
	// minConnections is what every listener gets at least, also where the limit is far too low.
	minConnections = 4

	// inTransit are descriptors of connections that are not counted: a listener accepts a connection before it refuses it,
	// and the descriptor of a closed one is freed when its reader has returned.
	inTransit = 8
)

// Divide limits each listener to what wish asks for, as far as the descriptors suffice: the admin listener gets up to an eighth
// of them, the embedded NATS server and the sandbox up to a quarter each, the traffic listener the rest. -1 stands for a listener
// that does not exist.
func Divide(limit, reserved int, wish Connections) Descriptors {
	d := Descriptors{Limit: limit, Reserved: reserved}
	left := limit - reserved
	share := func(wish, most int) int {
		if wish < 0 {
			return 0
		}
		left -= inTransit
		n := max(minConnections, most)
		if wish > 0 {
			n = min(n, wish)
		}
		left -= n
		return n
	}
	all := left
	d.Bound.Admin = share(wish.Admin, all/8-inTransit)
	d.Bound.NATS = share(wish.NATS, all/4-inTransit)
	d.Bound.Sandbox = share(wish.Sandbox, all/4-inTransit)
	d.Bound.Traffic = share(wish.Traffic, left-inTransit)
	return d
}
