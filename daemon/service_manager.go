package daemon

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/reporterd/reporterd/internal/systemd"
)

// statusEvery is how often the line of status is looked at.
const statusEvery = 2 * time.Second

// serviceManager tells the service manager how the daemon is.
type serviceManager struct {
	manager *systemd.Notifier // nil: there is none
	part    *lifecycle.Part
}

func newServiceManager(log *zap.Logger) *serviceManager {
	n, err := systemd.New()
	if err != nil {
		log.Warn("the service manager cannot be told how the daemon is", zap.Error(err))
	}
	return &serviceManager{manager: n}
}

// begin says that the daemon is ready, and from then on how it is. line reads the daemon's figures: while that does not
// return, there is no sign of life, and the manager starts the daemon again.
func (s *serviceManager) begin(line func() string) {
	s.manager.Status(line())
	s.manager.Ready()
	if s.manager == nil {
		return
	}
	s.part = lifecycle.Start(func(ctx context.Context) error {
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
}

// reloading wraps a reload.
func (s *serviceManager) reloading(reload reloading) reloading {
	return func(removed []string) (console.Reloaded, error) {
		s.manager.Reloading()
		defer s.manager.Ready()
		return reload(removed)
	}
}

// stopping says that the daemon ends, in at most so long.
func (s *serviceManager) stopping() {
	s.part.End()
	s.manager.Status("stopping: reports in flight get their answer")
	s.manager.Stopping()
}

// statusLine is how the daemon is, for systemctl status.
func statusLine(ready error, pending, dead uint64, oldest time.Duration) string {
	line := fmt.Sprintf("%d events pending", pending)
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
