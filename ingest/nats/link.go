package nats

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// link is the state of the connection.
type link struct {
	up      atomic.Bool
	since   atomic.Int64 // Unix nanoseconds: since when it is as it is
	losses  atomic.Uint64
	closing atomic.Bool
}

func (l *link) turn(up bool) (before time.Duration) {
	now := time.Now()
	before = now.Sub(time.Unix(0, l.since.Swap(now.UnixNano())))
	l.up.Store(up)
	return before
}

// Dial connects for something else than a Bus, with the same login and for ever. It returns once there is a
// connection, or ctx ends.
func Dial(ctx context.Context, o Options) (*nats.Conn, error) {
	all, err := o.connection()
	if err != nil {
		return nil, err
	}
	connected := make(chan struct{}, 1)
	all = append(all, nats.ConnectHandler(func(*nats.Conn) { connected <- struct{}{} }))
	conn, err := nats.Connect(o.URL, all...)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	select {
	case <-connected:
		return conn, nil
	case <-ctx.Done():
		conn.Close()
		return nil, fmt.Errorf("nats: %w", ctx.Err())
	}
}

// connect dials. nats.go calls back from goroutines of its own, which end with the connection.
func (b *Bus) connect() error {
	all, err := b.options.connection()
	if err != nil {
		return err
	}
	b.link.since.Store(time.Now().UnixNano())
	all = append(all,
		nats.ConnectHandler(b.connected), nats.ReconnectHandler(b.connected), nats.DisconnectErrHandler(b.disconnected),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.complain("nats", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.complain("cannot reach the NATS server: it is tried again", err) }),
	)
	if b.conn, err = nats.Connect(b.options.URL, all...); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if !b.conn.IsConnected() {
		b.log.Warn("the NATS server cannot be reached yet: it is tried again, and all else goes on")
	}
	return nil
}

// connected is called once the subscriptions are on their way again. We are there when they have arrived: a
// request before that finds nobody.
func (b *Bus) connected(c *nats.Conn) {
	if c.FlushTimeout(b.options.Patience) != nil && !c.IsConnected() {
		return // it was lost again, and disconnected knows
	}
	before := b.link.turn(true)
	b.log.Info("connected to NATS", zap.String("server", c.ConnectedUrlRedacted()), zap.Duration("after", before.Round(time.Millisecond)))
}

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	if b.link.closing.Load() {
		return
	}
	b.link.turn(false)
	b.link.losses.Add(1)
	b.log.Error("lost the NATS server: it is tried again, and all else goes on", zap.Error(err))
}

var errAway = errors.New("nats: the server cannot be reached")

// Trouble returns why no messages come in at the moment, or nil.
func (b *Bus) Trouble() error {
	if !b.link.up.Load() {
		return errAway
	}
	if why := b.held.trouble.Load(); why != nil {
		return *why
	}
	return nil
}
