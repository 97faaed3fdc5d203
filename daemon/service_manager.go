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

// statusEvery is the interval at which the status line is updated.
const statusEvery = 2 * time.Second

// serviceManager reports the daemon's state to the service manager.
type serviceManager struct {
	manager *systemd.Notifier // nil: none
	part    *lifecycle.Part
}

func newServiceManager(log *zap.Logger) *serviceManager {
	n, err := systemd.New()
	if err != nil {
		log.Warn("cannot notify the service manager", zap.Error(err))
	}
	return &serviceManager{manager: n}
}

// begin reports that the daemon is ready, and from then on its state. line reads the daemon's figures: while it does not return,
// no watchdog signal is sent, and the manager restarts the daemon.
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

// reloading wraps a reload with the manager's notifications.
func (s *serviceManager) reloading(reload reloading) reloading {
	return func(removed []string) (console.Reloaded, error) {
		s.manager.Reloading()
		defer s.manager.Ready()
		return reload(removed)
	}
}

// stopping reports that the daemon stops, and how long that may take.
func (s *serviceManager) stopping() {
	s.part.End()
	s.manager.Status("stopping: waiting for the answers of reports in flight")
	s.manager.Stopping()
}

// statusLine returns the state of the daemon, for systemctl status.
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
