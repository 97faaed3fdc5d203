package nats

import (
	"errors"
	"time"

	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// maxRejected bounds the plain publishes that wait to be written as dead letters. Each costs two syncs; where they come faster,
// the rest is counted as unkept and dropped.
const maxRejected = 1024

// rejectedPublish is a plain publish that can never be taken, and the reason.
type rejectedPublish struct {
	*message
	why *ingest.Refusal
}

// deadLetterQueue holds plain publishes until writeDeadLetters, one goroutine, has written them.
type deadLetterQueue chan rejectedPublish

func (q deadLetterQueue) offer(p rejectedPublish) bool {
	select {
	case q <- p:
		return true
	default:
		return false
	}
}

// writeDeadLetters writes dead letters until Stop closes the queue.
func (b *Bridge) writeDeadLetters() {
	for p := range b.rejected {
		if b.writeDeadLetter(p.message, p.why) != nil {
			b.counters.unkept.Add(1)
		}
	}
}

// writeDeadLetter writes a message as a dead letter, and returns once that is durable.
func (b *Bridge) writeDeadLetter(m *message, why *ingest.Refusal) error {
	if b.options.DeadLetters == nil {
		return errors.New("nats: there is no place for dead letters")
	}
	l := m.deadLetter(why)
	if err := b.options.DeadLetters(l); err != nil {
		b.logLimited("a message that can never be taken could not be kept", err)
		return err
	}
	b.counters.letters.Add(1)
	b.log.Debug("a message can never be taken", zap.String("subject", m.subject), zap.String("reason", l.Code), zap.String("detail", why.Detail))
	return nil
}

// logInterval is the least time between two lines of logLimited.
const logInterval = 10 * time.Second

// logLimited logs an error that may occur with every message, once in logInterval.
func (b *Bridge) logLimited(what string, err error) {
	now := time.Now().UnixNano()
	last := b.lastLogged.Load()
	if now-last > int64(logInterval) && b.lastLogged.CompareAndSwap(last, now) {
		b.log.Error(what, zap.Error(err))
	}
}
