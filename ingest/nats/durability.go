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

// SyncOptions are what a SyncWatch is made of.
type SyncOptions struct {
	// Monitors are the servers' monitoring addresses, http or https, without a path. None: nobody can be asked.
	Monitors []string
	Client   *http.Client  // nil: one with a timeout of 5 s
	Every    time.Duration // between two looks; 0: 5 min
	Log      *zap.Logger   // nil: none
}

// SyncWatch knows for how long JetStream's servers may keep what they acknowledged off their disks, which is
// what a power failure can take with it. WatchSync makes one, Stop ends it.
//
// JetStream itself does not say it: its servers do, at /varz of their monitoring address, as sync_always and
// sync_interval. nats-server acknowledges before it syncs unless sync_interval is "always"; its default is 2 min.
type SyncWatch struct {
	o    SyncOptions
	end  context.CancelFunc
	over chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows
	known   bool
	longest time.Duration
	trouble string // why nobody could be asked, or what was warned about; logged once
}

// WatchSync asks now and then, in a goroutine of its own that Stop ends. It returns at once.
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
	ctx, end := context.WithCancel(context.Background())
	w := &SyncWatch{o: o, end: end, over: make(chan struct{})}
	go w.run(ctx)
	return w
}

func (w *SyncWatch) run(ctx context.Context) {
	defer close(w.over)
	if len(w.o.Monitors) == 0 {
		w.o.Log.Warn("whether the NATS servers sync to disk before they acknowledge cannot be known: name their monitoring " +
			"addresses in nats.monitor_urls, and let them have sync_interval: always")
		return
	}
	for {
		w.look(ctx)
		select {
		case <-time.After(w.o.Every):
		case <-ctx.Done():
			return
		}
	}
}

// Longest returns the longest time that an acknowledged message may be off the disk of a server; 0: none. Not
// known when a server has not been asked successfully.
func (w *SyncWatch) Longest() (longest time.Duration, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest, w.known
}

// Stop ends the goroutine and returns once it has ended.
func (w *SyncWatch) Stop() {
	w.end()
	<-w.over
}

// look asks every server once. One that does not answer leaves what is known as it was: its settings change
// only with its configuration.
func (w *SyncWatch) look(ctx context.Context) {
	longest, trouble := time.Duration(0), ""
	for _, url := range w.o.Monitors {
		interval, err := syncInterval(ctx, w.o.Client, url)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.note("cannot ask "+url, func(l *zap.Logger) { l.Warn("cannot ask how a NATS server syncs", zap.Error(err)) })
			return
		}
		if interval > longest {
			longest, trouble = interval, url
		}
	}
	w.mu.Lock()
	w.known, w.longest = true, longest
	w.mu.Unlock()
	if longest == 0 {
		w.note("synced", func(l *zap.Logger) { l.Info("the NATS servers sync to disk before they acknowledge") })
		return
	}
	w.note(trouble, func(l *zap.Logger) {
		l.Warn("the NATS servers acknowledge before they sync to disk: a power failure can lose what they acknowledged. "+
			"Set sync_interval: always in their jetstream block", zap.String("server", trouble), zap.Duration("at_most", longest))
	})
}

// note logs what is news.
func (w *SyncWatch) note(news string, say func(*zap.Logger)) {
	w.mu.Lock()
	same := w.trouble == news
	w.trouble = news
	w.mu.Unlock()
	if !same {
		say(w.o.Log)
	}
}

// maxVarz is the longest answer that is read, in bytes; real ones have a few thousand.
const maxVarz = 1 << 20

// syncInterval asks a server how long it may keep a message off its disk. 0: not at all.
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
