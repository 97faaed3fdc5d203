package main

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/systemd"
)

// statusEvery is how often the line of status is looked at.
const statusEvery = 2 * time.Second

// supervision tells the service manager how the daemon is.
type supervision struct {
	manager *systemd.Notifier // nil: there is none
	part    *part
}

func newSupervision(log *zap.Logger) *supervision {
	n, err := systemd.New()
	if err != nil {
		log.Warn("the service manager cannot be told how the daemon is", zap.Error(err))
	}
	return &supervision{manager: n}
}

// begin says that the daemon is ready, and from then on how it is. line reads the daemon's figures: while that does not
// return, there is no sign of life, and the manager starts the daemon again.
func (s *supervision) begin(line func() string) {
	s.manager.Status(line())
	s.manager.Ready()
	if s.manager == nil {
		return
	}
	running := launch(func(ctx context.Context) error {
		every := statusEvery
		if alive := s.manager.Every(); alive > 0 {
			every = min(every, alive)
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			s.manager.Status(line())
			if s.manager.Every() > 0 {
				s.manager.Alive()
			}
		}
	})
	s.part = &running
}

// reloading wraps a reload.
func (s *supervision) reloading(reload reloading) reloading {
	return func(removed []string) (console.Reloaded, error) {
		s.manager.Reloading()
		defer s.manager.Ready()
		return reload(removed)
	}
}

// stopping says that the daemon ends, in at most so long.
func (s *supervision) stopping() {
	if s.part != nil {
		s.part.end()
	}
	s.manager.Status("stopping: reports in flight get their answer")
	s.manager.Stopping()
}

// statusLine is how the daemon is, for systemctl status.
func statusLine(ready error, pending, dead uint64, oldest time.Duration) string {
	line := fmt.Sprintf("%d events on the way", pending)
	if oldest > 0 && pending > 0 {
		line += fmt.Sprintf(", the oldest for %v", oldest.Round(time.Second))
	}
	if dead > 0 {
		line += fmt.Sprintf("; %d dead", dead)
	}
	if ready != nil {
		line = "not ready: " + ready.Error() + "; " + line
	}
	return line
}

func (p *pipeline) statusLine() string {
	s := p.snapshot()
	return statusLine(p.ready(), s.Events.Pending, s.Events.Dead, s.Spool.OldestAge)
}

func (r *replica) statusLine() string {
	s := r.snapshot()
	return statusLine(r.ready(), s.Events.Pending, s.Events.Dead, s.Spool.OldestAge)
}
