package embedded

import (
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// logger writes the server's log into ours: warnings and errors as they are, everything else at level debug.
type logger struct {
	log *zap.SugaredLogger

	mu   sync.Mutex // guards what follows
	last error      // the last fatal error
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warnf(format, v...) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Errorf(format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debugf(format, v...) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debugf(format, v...) }

// Fatalf notes the error that stopped the server. The process goes on.
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

// fatal returns the error that stopped the server.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		return errors.New("not ready within " + startTimeout.String())
	}
	return l.last
}
