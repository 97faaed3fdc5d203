package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/durable"
	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/threescale/portal"
)

// retryAfter is when the portal is asked again after a failure.
const retryAfter = 30 * time.Second

// KeeperOptions are those of NewKeeper.
type KeeperOptions struct {
	Dir   string                                                            // where configurations are kept; it is made when needed
	Every time.Duration                                                     // how often the portal is asked
	IDs   func() []string                                                   // the services to ask for; may be called concurrently
	Get   func(ctx context.Context, id string) (*portal.ProxyConfig, error) // asks for the latest configuration of one
	Apply func(list []*Service, complete bool)                              // puts them in force; complete: there is one of each service
	Log   *zap.Logger
}

// Keeper keeps the portal's configurations of services: the last one of each that could be had is on disk and in force, also while the
// portal is away and across restarts.
type Keeper struct {
	options KeeperOptions
	again   chan struct{}  // asks for a round at once
	away    *outage.Outage // of the portal, or of the disk
	read    atomic.Int64   // when all were read last, Unix seconds; 0: never

	mu     sync.Mutex                     // guards what follows
	kept   map[string]*portal.ProxyConfig // by service
	faults map[string]string              // said so far, by service
}

// NewKeeper returns a Keeper with what is on disk in force. A file that cannot be read counts as missing and is logged.
func NewKeeper(o KeeperOptions) *Keeper {
	k := &Keeper{options: o, again: make(chan struct{}, 1), kept: map[string]*portal.ProxyConfig{}, faults: map[string]string{}, away: outage.New(outage.Options{
		Log: o.Log, Begin: "cannot renew the services' rules from the portal: the previous ones stay in force", End: "the services' rules are those of the portal again",
		BeginLevel: zap.WarnLevel,
	})}
	for _, id := range o.IDs() {
		c, err := readKept(o.Dir, id)
		if err != nil {
			o.Log.Warn("cannot read the kept rules of a service", zap.String("service", id), zap.Error(err))
		}
		if c != nil {
			k.kept[id] = c
		}
	}
	k.apply()
	return k
}

// Run asks the portal at once and then every Every, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		wait := k.options.Every
		if err := k.round(ctx); ctx.Err() != nil {
			return
		} else if k.away.Report(err); err != nil {
			wait = min(wait, retryAfter)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-k.again:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Again asks the portal soon, because services may have changed. It does not wait. A nil Keeper does nothing.
func (k *Keeper) Again() {
	if k == nil {
		return
	}
	select {
	case k.again <- struct{}{}:
	default: // a round is coming already
	}
}

// LastRead returns when the configurations of all services were read last, in Unix seconds; 0: not since the start. A nil Keeper
// reads none.
func (k *Keeper) LastRead() int64 {
	if k == nil {
		return 0
	}
	return k.read.Load()
}

// round asks for each service once. One that fails keeps what it has.
func (k *Keeper) round(ctx context.Context) error {
	var failed []error
	for _, id := range k.options.IDs() {
		c, err := k.options.Get(ctx, id)
		if err == nil {
			err = k.keep(id, c)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("service %s: %w", id, err))
		}
	}
	k.apply()
	if len(failed) == 0 {
		k.read.Store(time.Now().Unix())
	}
	return errors.Join(failed[:min(len(failed), 3)]...) // the same reason, mostly
}

// keep makes a configuration durable, then lets it be applied.
func (k *Keeper) keep(id string, c *portal.ProxyConfig) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	k.mu.Lock()
	before, err := json.Marshal(k.kept[id])
	k.mu.Unlock()
	if err == nil && bytes.Equal(text, before) {
		return nil
	}
	if err := os.MkdirAll(k.options.Dir, 0o700); err != nil {
		return fmt.Errorf("gate: keep rules: %w", err)
	}
	if err := durable.WriteFile(keptFile(k.options.Dir, id), text, 0o600); err != nil {
		return fmt.Errorf("gate: keep rules: %w", err)
	}
	// A crash here leaves the new configuration for the next start.
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept[id] = c
	return nil
}

// apply puts in force what is kept of the services that are configured now, and logs what is new of their faults.
func (k *Keeper) apply() {
	ids := k.options.IDs()
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.kept {
		if !slices.Contains(ids, id) {
			delete(k.kept, id)
		}
	}
	list, faults := services(ids, k.kept)
	for id, lines := range faults {
		if text := fmt.Sprint(lines); k.faults[id] != text {
			k.faults[id] = text
			k.options.Log.Warn("not all of a service's configuration can be taken over from the portal", zap.String("service", id), zap.Strings("faults", lines))
		}
	}
	k.options.Apply(list, len(k.kept) == len(ids))
}

// services makes services of configurations, in the order of ids.
func services(ids []string, kept map[string]*portal.ProxyConfig) (list []*Service, faults map[string][]string) {
	faults = map[string][]string{}
	for _, id := range ids {
		c := kept[id]
		if c == nil {
			continue
		}
		s, lines := FromPortal(id, c)
		if s != nil {
			list = append(list, s)
		}
		if len(lines) > 0 {
			faults[id] = lines
		}
	}
	return list, faults
}

// ReadKept returns what a Keeper keeps of the services in a directory, and the faults of each; it changes nothing.
func ReadKept(dir string, ids []string) (list []*Service, faults map[string][]string, err error) {
	kept := map[string]*portal.ProxyConfig{}
	for _, id := range ids {
		if kept[id], err = readKept(dir, id); err != nil {
			return nil, nil, err
		}
	}
	list, faults = services(ids, kept)
	return list, faults, nil
}

// readKept reads one configuration; nil: there is none.
func readKept(dir, id string) (*portal.ProxyConfig, error) {
	text, err := os.ReadFile(keptFile(dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	c := &portal.ProxyConfig{}
	if err == nil {
		err = json.Unmarshal(text, c)
	}
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	return c, nil
}

func keptFile(dir, id string) string {
	return filepath.Join(dir, "service-"+url.PathEscape(id)+".json")
}
