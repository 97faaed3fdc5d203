// Package outage logs a failure that lasts twice: once when it begins, and once when it ends, with its duration and the number
// of failures. The operations that fail in between are counted, not logged.
package outage

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options of New.
type Options struct {
	Log   *zap.Logger
	Begin string // the message of the first failure, logged with the error. It states the consequence for the user
	End   string // the message of the first success after it, logged with the duration and the number of failures

	BeginLevel zapcore.Level // zap.ErrorLevel and zap.WarnLevel are usual. The zero value is zap.InfoLevel
	EndLevel   zapcore.Level // the zero value is zap.InfoLevel

	// Calm is how long no failure may have occurred before a success ends the outage. Failures and successes in turn are one
	// outage then, so that at most two lines are logged per Calm. 0: the first success ends it.
	Calm time.Duration

	// Count is the name of the field with the number of failures; empty: "failures".
	Count string
}

// Outage tracks one operation. It is safe for concurrent use. A success without an outage takes no lock.
type Outage struct {
	options Options
	active  atomic.Bool // whether an outage is in progress; written with mu held

	mu       sync.Mutex // guards the fields below
	since    time.Time  // of the first failure
	latest   time.Time  // of the latest failure
	failures int        // since then
	err      error      // of the latest failure; nil: no outage
}

// New returns an outage that has not begun.
func New(o Options) *Outage {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Count == "" {
		o.Count = "failures"
	}
	return &Outage{options: o}
}

// Report calls Failed if err is not nil, and Worked otherwise. It reports whether an outage began or ended.
func (o *Outage) Report(err error) (changed bool) {
	if err != nil {
		return o.Failed(err)
	}
	return o.Worked()
}

// Failed counts a failure. If it begins an outage, it logs it with fields and returns true.
func (o *Outage) Failed(err error, fields ...zap.Field) (began bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest, o.err = time.Now(), err
	o.failures++
	if o.active.Swap(true) {
		return false
	}
	o.since = o.latest
	o.options.Log.Log(o.options.BeginLevel, o.options.Begin, append([]zap.Field{zap.Error(err)}, fields...)...)
	return true
}

// Worked records a success. If it ends an outage, because no failure occurred for Options.Calm, it logs that and returns true.
func (o *Outage) Worked(fields ...zap.Field) (ended bool) {
	if !o.active.Load() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if !o.active.Load() || now.Sub(o.latest) < o.options.Calm {
		return false
	}
	lasted := now.Sub(o.since).Round(time.Millisecond)
	o.options.Log.Log(o.options.EndLevel, o.options.End,
		append([]zap.Field{zap.Duration("after", lasted), zap.Int(o.options.Count, o.failures)}, fields...)...)
	o.failures, o.err = 0, nil
	o.active.Store(false)
	return true
}

// Err returns the latest failure of the outage in progress; nil: no outage.
func (o *Outage) Err() error {
	if !o.active.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
