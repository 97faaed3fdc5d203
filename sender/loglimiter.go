package sender

import (
	"time"

	"go.uber.org/zap"
)

// tallyPeriod is how often a lane says that it buries transactions, at most.
const logPeriod = time.Minute

// logLimiter gathers the dead letters of a lane, so that the log has a line a minute about them and not one
// for each. The Sender's mutex guards it.
type logLimiter struct {
	said                 time.Time
	transactions, events int
}

// add counts dead letters, and logs when it is time to: at once for the first.
func (t *logLimiter) add(log *zap.Logger, now time.Time, service, code string, transactions, events int) {
	t.transactions += transactions
	t.events += events
	if now.Sub(t.said) < logPeriod {
		return
	}
	log.Warn("transactions became dead letters", zap.String("service_id", service), zap.String("reason", code),
		zap.Int("transactions", t.transactions), zap.Int("events", t.events))
	*t = logLimiter{said: now}
}
