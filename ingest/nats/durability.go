package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// SyncOptions of WatchSync.
type SyncOptions struct {
	// Monitors are the servers' monitoring addresses, http or https, without a path. None: the setting cannot be known.
	Monitors []string
	Client   *http.Client  // nil: one with a timeout of 5 s
	Every    time.Duration // the interval; 0: 5 min
	Log      *zap.Logger   // nil: none
}

// SyncWatch asks JetStream's servers how long after the acknowledgement they sync a message to disk, which is how much a power
// failure can lose. WatchSync returns one, Stop ends it.
//
// The JetStream API does not tell it. The servers do, at /varz of their monitoring address, as sync_always and
// sync_interval. nats-server acknowledges before it syncs unless sync_interval is "always"; its default is 2 min.
type SyncWatch struct {
	options SyncOptions
	cancel  context.CancelFunc
	done    chan struct{} // closed when the goroutine has ended

	mu         sync.Mutex // guards what follows
	known      bool
	longest    time.Duration
	lastLogged string // the state that was logged last, so that it is logged once
}

// WatchSync asks every SyncOptions.Every, in a goroutine that Stop ends. It returns at once.
func WatchSync(o SyncOptions) *SyncWatch {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &SyncWatch{options: o, cancel: cancel, done: make(chan struct{})}
	go w.run(ctx)
	return w
}

func (w *SyncWatch) run(ctx context.Context) {
	defer close(w.done)
	if len(w.options.Monitors) == 0 {
		w.options.Log.Warn("whether the NATS servers sync to disk before they acknowledge cannot be known: name their monitoring " +
			"addresses in nats.monitor_urls, and let them have sync_interval: always")
		return
	}
	for {
		w.look(ctx)
		select {
		case <-time.After(w.options.Every):
		case <-ctx.Done():
			return
		}
	}
}

// Longest returns the longest time between the acknowledgement of a message and its sync to disk; 0: it is synced first. It is
// not known until every server has answered once.
func (w *SyncWatch) Longest() (longest time.Duration, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest, w.known
}

// Stop ends the goroutine and returns once it has ended.
func (w *SyncWatch) Stop() {
	w.cancel()
	<-w.done
}

// look asks every server once. When one does not answer, the result of the last look stays: settings change only with a
// server's configuration.
func (w *SyncWatch) look(ctx context.Context) {
	longest, server := time.Duration(0), ""
	for _, url := range w.options.Monitors {
		interval, err := syncInterval(ctx, w.options.Client, url)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.logOnce("cannot ask "+url, func(l *zap.Logger) { l.Warn("cannot ask how a NATS server syncs", zap.Error(err)) })
			return
		}
		if interval > longest {
			longest, server = interval, url
		}
	}
	w.mu.Lock()
	w.known, w.longest = true, longest
	w.mu.Unlock()
	if longest == 0 {
		w.logOnce("synced", func(l *zap.Logger) { l.Info("the NATS servers sync to disk before they acknowledge") })
		return
	}
	w.logOnce(server, func(l *zap.Logger) {
		l.Warn("the NATS servers acknowledge before they sync to disk: a power failure can lose what they acknowledged. "+
			"Set sync_interval: always in their jetstream block", zap.String("server", server), zap.Duration("at_most", longest))
	})
}

// logOnce calls say unless state is the one that was logged last.
func (w *SyncWatch) logOnce(state string, say func(*zap.Logger)) {
	w.mu.Lock()
	same := w.lastLogged == state
	w.lastLogged = state
	w.mu.Unlock()
	if !same {
		say(w.options.Log)
	}
}

// maxVarz bounds the answer that is read, in bytes; real ones have a few thousand.
const maxVarz = 1 << 20

// syncInterval asks a server how long after the acknowledgement it syncs; 0: before.
func syncInterval(ctx context.Context, client *http.Client, url string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/varz", nil)
	if err != nil {
		return 0, fmt.Errorf("nats: monitor: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("nats: monitor: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("nats: monitor: %s/varz: status %d", url, res.StatusCode)
	}
	var varz struct {
		JetStream struct {
			Config *struct {
				Always   bool          `json:"sync_always"`
				Interval time.Duration `json:"sync_interval"` // nanoseconds
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxVarz)).Decode(&varz); err != nil {
		return 0, fmt.Errorf("nats: monitor: %s/varz: %w", url, err)
	}
	c := varz.JetStream.Config
	switch {
	case c == nil:
		return 0, fmt.Errorf("nats: monitor: %s/varz: %w", url, errNoJetStream)
	case c.Always:
		return 0, nil
	case c.Interval == 0: // an older server that does not say
		return 2 * time.Minute, nil
	}
	return c.Interval, nil
}

var errNoJetStream = errors.New("the server runs without JetStream")
