package embedded

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// logger puts what the server has to say into our log: warnings and errors as they are, the rest for who
// looks closely.
type logger struct {
	log *zap.SugaredLogger

	mu   sync.Mutex // guards what follows
	last error      // what the server called fatal
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warnf(format, v...) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Errorf(format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debugf(format, v...) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debugf(format, v...) }

// Fatalf remembers what stopped the server: the process goes on.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, v...)
}

func (l *logger) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last != nil
}

// fatal returns what stopped the server.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		return errors.New("not ready in time")
	}
	return l.last
}
