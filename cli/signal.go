package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// echo is how long after a first signal others count as the same wish: timeout(1), terminals and
// supervisors signal the process and then its group.
const echo = time.Second

// untilSignal returns a context that ends with the first SIGTERM or SIGINT. A later one, after the echo,
// has its usual effect and ends the process at once. release ends the goroutine and all of this.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		select {
		case <-signals:
			cancel()
			time.AfterFunc(echo, func() { signal.Stop(signals) })
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
