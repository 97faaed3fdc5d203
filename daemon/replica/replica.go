// Package replica is the engine of a daemon that shares a spool in JetStream with other daemons. It owns some of the partitions
// and runs each of them like the only partition of a single machine (package partition). It passes events, authorizations and
// orders for partitions of other replicas on to their owners.
package replica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ledger"
)

// Options of Open.
type Options struct {
	// Partition configures each partition. Each gets a subdirectory for caches that may be deleted, its disk in JetStream, and
	// the whole quota given here.
	Partition partition.Options

	// Dial connects to the servers. It returns once it is connected, or ctx ends.
	Dial func(ctx context.Context) (*nats.Conn, error)

	// Cluster configures the cluster; Conn, Open, Check and Log are set by the replica.
	Cluster cluster.Options

	// AuthorizeTimeout is how long an authorization waits for the owner of a partition.
	AuthorizeTimeout time.Duration

	Log *zap.Logger
}

// Replica is this daemon's part of the cluster. Its methods may be called concurrently.
type Replica struct {
	log      *zap.Logger
	options  Options
	conn     *nats.Conn
	node     atomic.Pointer[cluster.Node] // nil until it has joined
	fallback *authorize.Authorizer        // answers while a partition has no owner, without counting usage that is not reported yet
	led      map[string]http.Handler      // the handlers of Led, which is called before Start
	joint    *ledger.Joint                // the ledgers of all partitions
	answered atomic.Uint64                // authorizations answered by fallback
	stopping atomic.Bool

	// applying is held while services are applied, and while a partition that was just opened is added to those that Apply
	// reaches.
	applying sync.Mutex

	mu         sync.Mutex // guards the fields below
	owned      map[int]*partition.Partition
	services   []event.Service
	told       map[int]console.ClusterPart // what the owner of each partition answered last
	stopErrors []error                     // errors of partitions that were released with work in progress
}

// Open makes a replica; Start makes it join the cluster.
func Open(o Options) (*Replica, error) {
	r := &Replica{log: o.Log, options: o, led: map[string]http.Handler{}, owned: map[int]*partition.Partition{}, told: map[int]console.ClusterPart{}, services: o.Partition.Services}
	if err := os.MkdirAll(o.Partition.Dir, 0o700); err != nil {
		return nil, err
	}
	r.joint = ledger.NewJoint(ledger.JointOptions{Partitions: o.Cluster.Partitions, Ask: r.askLedger})
	var err error
	if r.fallback, err = partition.NewFallback(r, o.Partition); err != nil {
		return nil, &partition.OptionsError{Err: err}
	}
	return r, nil
}

// joinTime limits one attempt to join.
const joinTime = 5 * time.Second

// Start connects, joins, and begins to take partitions. While no server answers it retries, until ctx ends.
func (r *Replica) Start(ctx context.Context) (err error) {
	if r.conn, err = r.options.Dial(ctx); err != nil {
		return err
	}
	o := r.options.Cluster
	o.Conn, o.Open, o.Check, o.Log = r.conn, r.open, r.check, r.log.Named("cluster")
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
			r.log.Error("cannot join the cluster, retrying", zap.Error(err))
		}
		_ = r.conn.ForceReconnect() // a server that is cut off from the cluster keeps its clients
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return ctx.Err()
}

// Stop releases the partitions, after the last request. An error says that work was in progress in one of them.
func (r *Replica) Stop(ctx context.Context) error {
	r.stopping.Store(true)
	if node := r.node.Load(); node != nil {
		node.Stop(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append(r.stopErrors, ctx.Err())...)
}

// Close closes the connection, after Stop.
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
	if o.Ledger != nil {
		own := *o.Ledger
		own.Dir, own.Copy = o.Dir, d
		o.Ledger = &own
	}
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
	r.addPartition(n, p, services)
	return cluster.Member{
		Answer: func(ctx context.Context, kind string, data []byte) ([]byte, error) {
			return r.answer(ctx, p, kind, data)
		},
		Stop: func(ctx context.Context, clean bool) { r.close(ctx, o.Log, n, p, clean) },
		News: func() []byte { return newsOf(p) },
	}, nil
}

// check opens a partition on an empty disk and closes it: what prevents that would prevent this replica from owning any.
func (r *Replica) check(_ context.Context, d *jetdisk.Disk) error {
	o := r.options.Partition
	o.Dir, o.Spool.FS, o.Ledger, o.Log = filepath.Join(o.Dir, "check"), d, nil, zap.NewNop()
	err := os.MkdirAll(o.Dir, 0o700)
	if err != nil {
		return err
	}
	p, err := partition.Open(o)
	if err == nil {
		err = p.Close(false)
	}
	return errors.Join(err, os.RemoveAll(o.Dir))
}

// addPartition adds a partition, opened with some services, to those that Apply reaches. Opening one may take long, and other services may
// have been applied in the meantime.
func (r *Replica) addPartition(n int, p *partition.Partition, services []event.Service) {
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

// sameList reports whether two slices are the same one, not merely equal.
func sameList(a, b []event.Service) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Apply sets services and their credentials in all partitions, including those that are being opened. It returns the ids of
// services whose credentials have changed, if this replica owns a partition.
func (r *Replica) Apply(services []event.Service) (changed []string) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	r.services = services
	r.mu.Unlock()
	r.fallback.SetServices(services)
	for _, p := range r.partitions() {
		changed = p.Apply(services) // the same in each partition
	}
	return changed
}

// SetMetrics replaces the metrics that authorizations of services may name.
func (r *Replica) SetMetrics(services []event.Service) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	r.services = services // for partitions that are opened later
	r.mu.Unlock()
	r.fallback.SetServices(services)
	for _, p := range r.partitions() {
		p.SetMetrics(services)
	}
}

// close ends the work on a partition. Its next owner continues.
func (r *Replica) close(ctx context.Context, log *zap.Logger, n int, p *partition.Partition, clean bool) {
	if !clean { // the disk cannot be written any more: the next owner decides about reports in flight
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	err := p.Stop(ctx)
	if err != nil && clean {
		log.Warn("released a partition with work in progress", zap.Error(err))
	}
	r.mu.Lock()
	delete(r.owned, n)
	if err != nil {
		r.stopErrors = append(r.stopErrors, fmt.Errorf("partition %d: %w", n, err))
	}
	r.mu.Unlock()
	if err := p.Close(false); err != nil && clean {
		log.Warn("cannot close the spool of a partition", zap.Error(err))
	}
}

// partitions returns the partitions that this replica owns.
func (r *Replica) partitions() []*partition.Partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*partition.Partition, 0, len(r.owned))
	for _, p := range r.owned {
		all = append(all, p)
	}
	return all
}

// partition returns a partition that this replica owns, or nil.
func (r *Replica) partition(n int) *partition.Partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[n]
}

// Ready returns why this replica cannot accept events, or nil.
func (r *Replica) Ready() error {
	if r.stopping.Load() {
		return partition.ErrStopping
	}
	node := r.node.Load()
	if node == nil {
		return errNotJoined
	}
	if err := node.Unfit(); err != nil {
		return err
	}
	waited, lasting := r.orphans(node)
	switch {
	case len(waited) > 0:
		return fmt.Errorf("cluster: partition %s has no owner now: it is taken over, or waits for a replica", numbers(waited))
	case len(lasting) == r.options.Cluster.Partitions:
		return errors.New("cluster: no replica can open any partition: " + lasting[0].Why)
	}
	return nil
}

// Degraded returns what this replica cannot do although it is ready: events of partitions that no replica can open are refused.
func (r *Replica) Degraded() (lines []string) {
	node := r.node.Load()
	if node == nil {
		return nil
	}
	_, lasting := r.orphans(node)
	for _, o := range lasting {
		lines = append(lines, fmt.Sprintf("partition %d: no replica can open it, and events of its services are refused with 503: %s", o.Partition, o.Why))
	}
	return lines
}

// orphans returns the partitions without an owner: those that will have one soon, and those that could not be opened for so long that they
// say nothing of this replica any more.
func (r *Replica) orphans(node *cluster.Node) (waited, lasting []cluster.Orphan) {
	for _, o := range node.Orphans() {
		if o.Why != "" && time.Since(o.Since) > 2*r.options.Cluster.PinTTL {
			lasting = append(lasting, o)
		} else {
			waited = append(waited, o)
		}
	}
	return waited, lasting
}

// numbers lists partitions.
func numbers(list []cluster.Orphan) string {
	names := make([]string, len(list))
	for i, o := range list {
		names[i] = strconv.Itoa(o.Partition)
	}
	return strings.Join(names, ", ")
}
