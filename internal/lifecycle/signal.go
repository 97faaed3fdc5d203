package lifecycle

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// repeat is how long after the first signal further ones count as the same request to stop: timeout(1), terminals and
// service managers signal the process and then its group.
const repeat = time.Second

// UntilSignal returns a context that ends with the first SIGTERM or SIGINT. A signal more than a second later has its default
// effect and ends the process at once. release ends the goroutine and restores the default handling.
func UntilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { // ends with ctx
		select {
		case <-signals:
			cancel()
			time.AfterFunc(repeat, func() { signal.Stop(signals) })
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// OnHangup calls f at every SIGHUP, until the caller calls end.
func OnHangup(f func()) (end func()) {
	signals, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() { // ends with end
		for {
			select {
			case <-signals:
				f()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(ended)
	}
}
