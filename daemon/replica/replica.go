// Package replica is one of several daemons that share a spool in JetStream. It owns some of the partitions and works on each as
// one machine works on its only one (package partition). Events, authorizations and orders for partitions that other replicas
// own are passed on to those.
package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/event"
)

// Options are what a replica is made of.
type Options struct {
	// Partition is what each partition is made of. Its directory gets a subdirectory for each, for caches that may be deleted,
	// its disk is that of the partition, and its quota is what each partition gets.
	Partition partition.Options

	// Dial connects to the servers. It returns once there is a connection, or ctx ends.
	Dial func(ctx context.Context) (*nats.Conn, error)

	// Cluster are the cluster's; Conn, Open and Log are set by the replica.
	Cluster cluster.Options

	// AuthorizeTimeout bounds how long the owner of a partition is waited for with an authorization.
	AuthorizeTimeout time.Duration

	Log *zap.Logger
}

// Replica is this daemon among those that share the spool. Its methods may be called concurrently.
type Replica struct {
	log      *zap.Logger
	options  Options
	conn     *nats.Conn
	node     atomic.Pointer[cluster.Node] // nil until it has joined
	fallback *authorize.Authorizer        // answers while a partition has no owner, without what is not reported yet
	answered atomic.Uint64                // authorizations that fallback answered
	stopping atomic.Bool

	// applying is held while services are put in force, and while a partition that was just opened joins those that are
	// reached by that.
	applying sync.Mutex

	mu       sync.Mutex // guards what follows
	owned    map[int]*partition.Partition
	services []event.Service
	left     []error // why partitions were given up with work under way
}

// Open makes a replica that has not joined yet: Start joins.
func Open(o Options) (*Replica, error) {
	r := &Replica{log: o.Log, options: o, owned: map[int]*partition.Partition{}, services: o.Partition.Services}
	if err := os.MkdirAll(o.Partition.Dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if r.fallback, err = partition.NewFallback(o.Partition, r); err != nil {
		return nil, &partition.OptionsError{Err: err}
	}
	return r, nil
}

// joinTime bounds one attempt to join.
const joinTime = 5 * time.Second

// Start connects, joins, and begins to take partitions. While no server answers it is tried again, until ctx ends.
func (r *Replica) Start(ctx context.Context) (err error) {
	if r.conn, err = r.options.Dial(ctx); err != nil {
		return err
	}
	o := r.options.Cluster
	o.Conn, o.Open, o.Log = r.conn, r.open, r.log.Named("cluster")
	logged := ""
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, joinTime)
		node, err := cluster.Start(attempt, o)
		cancel()
		if err == nil {
			r.node.Store(node)
			return nil
		}
		if errors.Is(err, cluster.ErrUnfit) {
			return err
		}
		if err.Error() != logged {
			logged = err.Error()
			r.log.Error("cannot join the cluster: it is tried again", zap.Error(err))
		}
		_ = r.conn.ForceReconnect() // a server that is cut off from the others keeps its clients
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return ctx.Err()
}

// Stop gives the partitions back, once no more requests come in. An error says that work was under way on one of them.
func (r *Replica) Stop(ctx context.Context) error {
	r.stopping.Store(true)
	if node := r.node.Load(); node != nil {
		node.Stop(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append(r.left, ctx.Err())...)
}

// Close leaves the servers, after Stop.
func (r *Replica) Close(bool) error {
	if r.conn != nil {
		r.conn.Close()
	}
	return nil
}

// open begins to work on a partition.
func (r *Replica) open(ctx context.Context, n int, d *jetdisk.Disk) (cluster.Member, error) {
	r.mu.Lock()
	services := r.services
	r.mu.Unlock()
	o := r.options.Partition
	o.Services, o.Dir, o.Spool.FS, o.AlwaysAuthorize = services, filepath.Join(o.Dir, strconv.Itoa(n)), d, true
	o.Log = r.log.With(zap.Int("partition", n))
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return cluster.Member{}, err
	}
	p, err := partition.Open(o)
	if err != nil {
		return cluster.Member{}, err
	}
	if err := ctx.Err(); err != nil {
		return cluster.Member{}, errors.Join(err, p.Close(false))
	}
	if err := p.Start(ctx); err != nil {
		return cluster.Member{}, errors.Join(err, p.Close(false))
	}
	r.own(n, p, services)
	return cluster.Member{
		Answer: func(ctx context.Context, kind string, data []byte) ([]byte, error) { return answer(ctx, p, kind, data) },
		Stop:   func(ctx context.Context, clean bool) { r.close(ctx, o.Log, n, p, clean) },
		News:   func() []byte { return laneNews(p) },
	}, nil
}

// own adds a partition that was opened with some services to those that Apply reaches. Opening one may take long, and other
// services may have been put in force meanwhile.
func (r *Replica) own(n int, p *partition.Partition, services []event.Service) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	r.owned[n] = p
	now := r.services
	r.mu.Unlock()
	if !sameList(now, services) {
		p.Apply(now)
	}
}

// sameList reports whether two lists are one and the same, not merely equal.
func sameList(a, b []event.Service) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Apply puts services and their credentials in force, in all partitions, those that are being opened included. It returns the
// ids of services whose credentials have changed, as far as this replica has partitions that know.
func (r *Replica) Apply(services []event.Service) (changed []string) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	r.services = services
	r.mu.Unlock()
	r.fallback.SetServices(services)
	for _, p := range r.partitions() {
		changed = p.Apply(services) // each knows the same services
	}
	return changed
}

// SetMetrics replaces which metrics authorizations of services may name.
func (r *Replica) SetMetrics(services []event.Service) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.fallback.SetServices(services)
	for _, p := range r.partitions() {
		p.SetMetrics(services)
	}
}

// close ends the work on a partition. What is not done goes on with its next owner.
func (r *Replica) close(ctx context.Context, log *zap.Logger, n int, p *partition.Partition, clean bool) {
	if !clean { // nothing can be recorded any more: what is in flight is for the next owner to judge
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	err := p.Stop(ctx)
	if err != nil && clean {
		log.Warn("a partition is given up with work under way", zap.Error(err))
	}
	r.mu.Lock()
	delete(r.owned, n)
	if err != nil {
		r.left = append(r.left, fmt.Errorf("partition %d: %w", n, err))
	}
	r.mu.Unlock()
	if err := p.Close(false); err != nil && clean {
		log.Warn("cannot close a partition", zap.Error(err))
	}
}

// partitions are those that this replica owns.
func (r *Replica) partitions() []*partition.Partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*partition.Partition, 0, len(r.owned))
	for _, p := range r.owned {
		all = append(all, p)
	}
	return all
}

// partition is one that this replica owns, or nil.
func (r *Replica) partition(n int) *partition.Partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[n]
}

// Ready returns why this replica cannot take events, if so.
func (r *Replica) Ready() error {
	if r.stopping.Load() {
		return partition.ErrStopping
	}
	node := r.node.Load()
	if node == nil {
		return errUnjoined
	}
	if missing := node.Unowned(); missing > 0 {
		return fmt.Errorf("cluster: %d of %d partitions have no owner now", missing, r.options.Cluster.Partitions)
	}
	return nil
}
