package nats

import (
	"errors"
	"time"

	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// maxGraves bounds the bad publishes that wait to be written down. Each costs two syncs; a producer that sends
// nothing else is counted, and the first of them kept.
const maxGraves = 1024

// grave is a plain publish that can never be taken.
type grave struct {
	*message
	why *ingest.Refusal
}

// graves wait for the one goroutine that writes them down.
type graves chan grave

func (g graves) offer(one grave) bool {
	select {
	case g <- one:
		return true
	default:
		return false
	}
}

// dig writes dead letters until graves is closed.
func (b *Bus) dig() {
	for g := range b.graves {
		if b.bury(g.message, g.why) != nil {
			b.counters.unkept.Add(1)
		}
	}
}

// bury makes a message a dead letter, and returns once it is durable.
func (b *Bus) bury(m *message, why *ingest.Refusal) error {
	if b.options.Letters == nil {
		return errors.New("nats: there is no place for dead letters")
	}
	l := m.letter(why)
	if err := b.options.Letters(l); err != nil {
		b.complain("a message that can never be taken could not be kept", err)
		return err
	}
	b.counters.letters.Add(1)
	b.log.Debug("a message can never be taken", zap.String("subject", m.subject), zap.String("reason", l.Code), zap.String("detail", why.Detail))
	return nil
}

// complainEvery bounds how often the same trouble is logged.
const complainEvery = 10 * time.Second

// complain logs trouble that may come with every message.
func (b *Bus) complain(what string, err error) {
	now := time.Now().UnixNano()
	last := b.complained.Load()
	if now-last > int64(complainEvery) && b.complained.CompareAndSwap(last, now) {
		b.log.Error(what, zap.Error(err))
	}
}
