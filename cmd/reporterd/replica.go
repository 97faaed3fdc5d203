package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/bus"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/jetdisk"
	"github.com/reporterd/reporterd/spool"
)

// replica is one of several daemons that share a spool in JetStream. Each partition that it owns is a pipeline of
// its own, the same as on one machine, over a disk in JetStream. What comes in for others' partitions is passed on.
type replica struct {
	log     *zap.Logger
	config  *config.Config
	backend string
	guards  *guards
	conn    *nats.Conn
	node    atomic.Pointer[cluster.Node] // nil until it has joined: the console is open before
	front   *ingest.Handler              // takes events, and appends them to whichever partition they are for
	spare   *authorize.Authorizer        // answers while a partition has no owner, without what is not reported yet
	vouched *vouching                    // the spare's
	reloads reloads
	bus     atomic.Pointer[messages] // nil until it has joined
	halting atomic.Bool              // the order to stop has come
	spared  atomic.Uint64            // authorizations that spare answered

	mu     sync.Mutex // guards what follows
	owned  map[int]*pipeline
	latest *config.Config // as reloaded
}

// serveReplica is serve with spool.engine jetstream.
func serveReplica(ctx context.Context, log *zap.Logger, c *config.Config, o *origin, d *doors, g *guards, begun time.Time, broken <-chan error) error {
	r := &replica{log: log, config: c, latest: c, backend: d.backend, guards: g, owned: map[int]*pipeline{}}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return failed(err)
	}
	announce(log, c, d.admin, g.local)
	if err := r.assemble(); err != nil {
		return unusable(err)
	}
	reload := o.manager.reloading(func(removed []string) (console.Reloaded, error) { return r.reload(o, removed) })
	d.admin.gate.open(r.console(begun, reload))
	if err := r.join(ctx); err != nil {
		return early(ctx, log, failed(err))
	}
	defer r.conn.Close()
	messages, err := openMessages(ctx, log, c, d.bounds.NATS, r.bury, r.front)
	if err != nil {
		r.stop(d)
		return early(ctx, log, err)
	}
	r.bus.Store(messages)
	d.traffic.gate.open(r.front)
	defer o.attend(log, reload, r.statusLine)()
	log.Info("ready", zap.Duration("after", time.Since(begun).Round(time.Millisecond)))
	err = until(ctx, broken)
	o.manager.stopping()
	r.halting.Store(true)
	linger(log, c.StopDelay, err, broken)
	r.stop(d)
	return err
}

// assemble makes what does not depend on a partition.
func (r *replica) assemble() (err error) {
	if r.vouched, err = newVouching(r.log.Named("proof"), r.config, r.backend, &r.guards.backend); err != nil {
		return err
	}
	if r.spare, err = newAuthorizer(r.log.Named("authorize"), r.config, r, nil, r.backend, &r.guards.backend, r.vouched); err != nil {
		return err
	}
	r.front = ingest.NewHandler(ingest.Options{
		Services: takenServices(r.config.Services), Passthrough: r.config.Backend.Passthrough, Journal: r, Log: r.log.Named("ingest"),
		Other: r.other, Tokens: r.guards.producers, LateMargin: lateMargin(r.config),
	})
	return nil
}

// joinTime bounds one attempt to join.
const joinTime = 5 * time.Second

// join connects and begins to take partitions. While there is no server it is tried again.
func (r *replica) join(ctx context.Context) error {
	secure, err := busTLS(r.config.NATS)
	if err != nil {
		return err
	}
	if r.conn, err = bus.Dial(ctx, bus.Options{URL: r.config.NATS.URL, Login: login(r.config.NATS), TLS: secure}); err != nil {
		return err
	}
	c := r.config
	said := ""
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, joinTime)
		node, err := cluster.Start(attempt, cluster.Options{
			Conn: r.conn, Prefix: c.Cluster.Prefix, Partitions: c.Cluster.Partitions, Replicas: c.Cluster.Replicas,
			MaxBytes: int64(c.Spool.MaxBytes), PinTTL: c.Cluster.PinTTL, Log: r.log.Named("cluster"), Open: r.open,
		})
		cancel()
		if err == nil {
			r.node.Store(node)
			return nil
		}
		if errors.Is(err, cluster.ErrUnfit) {
			return err
		}
		if err.Error() != said {
			said = err.Error()
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

// open begins to work on a partition.
func (r *replica) open(ctx context.Context, partition int, d *jetdisk.Disk) (cluster.Member, error) {
	r.mu.Lock()
	read := r.latest
	r.mu.Unlock()
	c := *read
	c.DataDir = filepath.Join(c.DataDir, strconv.Itoa(partition)) // of what may be forgotten
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return cluster.Member{}, err
	}
	log := r.log.With(zap.Int("partition", partition))
	s, found, err := spool.Open(spool.Options{
		Dir: "/spool", FS: d, MaxBytes: int64(c.Spool.MaxBytes) / int64(c.Cluster.Partitions), MinFreeBytes: int64(c.Spool.MinFreeBytes),
		DedupeWindow: c.Dedupe.Window, MaxIDs: c.Dedupe.MaxIDs,
		RejectedBytes: int64(c.DeadLetters.RejectedMaxBytes), RejectedLetters: c.DeadLetters.RejectedMaxLetters,
	})
	if err != nil {
		return cluster.Member{}, err
	}
	sayRecovery(log.Named("spool"), found)
	if err := ctx.Err(); err != nil {
		return cluster.Member{}, errors.Join(err, s.Close())
	}
	p, err := assemble(log, &c, s, r.backend, r.guards)
	if err != nil {
		return cluster.Member{}, errors.Join(err, s.Close())
	}
	p.authorizer.Follow() // authorizations may have been asked of the owner before
	p.start()
	r.own(partition, p, read)
	return cluster.Member{
		Answer: func(ctx context.Context, kind string, data []byte) ([]byte, error) {
			return r.answer(ctx, p, kind, data)
		},
		Stop: func(ctx context.Context, clean bool) { r.close(ctx, log, partition, p, clean) },
		News: func() []byte { return news(p) },
	}, nil
}

// own adds a pipeline that was made with a configuration to those that reloads reach. It may take long to make one, and
// there may have been a reload meanwhile.
func (r *replica) own(partition int, p *pipeline, read *config.Config) {
	r.reloads.mu.Lock() // none goes on meanwhile
	defer r.reloads.mu.Unlock()
	r.mu.Lock()
	r.owned[partition] = p
	now := r.latest
	r.mu.Unlock()
	if now != read {
		p.adopt(now.Services)
	}
}

// adopt puts the configured services in force.
func (p *pipeline) adopt(services []config.Service) {
	p.openings.set(services)
	p.handler.SetServices(takenServices(services))
	p.authorizer.SetServices(askedServices(services))
	for _, s := range services {
		p.sender.Kick(s.ID)
	}
}

// close ends the work on a partition. What is not done goes on with its next owner.
func (r *replica) close(ctx context.Context, log *zap.Logger, partition int, p *pipeline, clean bool) {
	p.stopping()
	if !clean { // nothing can be recorded any more: what is in flight is for the next owner to judge
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	if err := p.stop(ctx); err != nil && clean {
		log.Warn("a partition is given up with work under way", zap.Error(err))
	}
	r.mu.Lock()
	delete(r.owned, partition)
	r.mu.Unlock()
	if err := p.spool.Close(); err != nil && clean {
		log.Warn("closing a partition", zap.Error(err))
	}
}

// pipelines are those of the partitions that this replica owns.
func (r *replica) pipelines() []*pipeline {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*pipeline, 0, len(r.owned))
	for _, p := range r.owned {
		all = append(all, p)
	}
	return all
}

// stop gives the partitions back, once no more requests come in.
func (r *replica) stop(d *doors) {
	limit := r.config.StopTimeout
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	begun := time.Now()
	r.log.Info("stopping", zap.Duration("at_most", limit))
	requests, enough := context.WithTimeout(ctx, limit/4)
	d.traffic.shutdown(requests)
	r.bus.Load().stop(requests, r.log)
	enough()
	if node := r.node.Load(); node != nil {
		node.Stop(ctx)
	}
	r.log.Info("stopped", zap.Duration("took", time.Since(begun).Round(time.Millisecond)))
}

// reload does what a pipeline's does, for all of them.
func (r *replica) reload(o *origin, removed []string) (console.Reloaded, error) {
	r.reloads.mu.Lock()
	defer r.reloads.mu.Unlock()
	c, done, err := r.reloads.read(r.log, o, r.guards, removed)
	if err != nil {
		return done, err
	}
	r.mu.Lock()
	r.latest = c
	r.mu.Unlock()
	r.front.SetServices(takenServices(c.Services))
	r.spare.SetServices(askedServices(c.Services))
	for _, p := range r.pipelines() {
		p.adopt(c.Services)
	}
	r.reloads.succeeded(r.log, c, done, nil)
	return done, nil
}

// ready returns why nothing can be taken in, if so.
func (r *replica) ready() error {
	if r.halting.Load() {
		return errStopping
	}
	node := r.node.Load()
	if node == nil {
		return errUnjoined
	}
	if missing := node.Unowned(); missing > 0 {
		return fmt.Errorf("cluster: %d of %d partitions have no owner at the moment", missing, r.config.Cluster.Partitions)
	}
	return nil
}

// bury keeps a message that can never be taken with the partition of its service.
func (r *replica) bury(l bus.Letter) error {
	data, err := json.Marshal(l)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_, err = r.call(ctx, r.node.Load().Partition(l.ServiceID), callBury, data)
	}
	return err
}

// other answers authorizations where they are counted.
func (r *replica) other(method, path string) http.Handler {
	if r.spare.Handler(method, path) == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.ask(w, q, path) })
}
