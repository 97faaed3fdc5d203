package batcher

import "time"

const (
	callRate    = 500         // calls a second that the cuts of many small lanes are to come to
	backlogMost = time.Minute // that an event waits in the window while earlier batches of its lanes are not delivered
)

// interval is how long the first event waits in the window. A cut makes one call or more for each lane in it, however little
// there is to report, so with many lanes it comes less often: such that cuts make about callRate calls a second, the batches
// counted that wait for delivery already, and within MaxInterval. While most lanes have a batch waiting, the window adds nothing to
// the age of what is delivered next, and collects for up to backlogMost: usage of one application and minute is one
// transaction then, in one batch.
func (o Options) interval(lanes, waiting int) time.Duration {
	most := o.MaxInterval
	if waiting >= lanes {
		most = max(most, backlogMost)
	}
	return min(max(o.FlushInterval, time.Duration(lanes+waiting)*(time.Second/callRate)), most)
}

// interval is that of the window as it stands. Usage of configured services does not wait for calls of lanes with credentials that
// reporters sent, however many there are: these count only in a window that has no other usage.
func (b *Batcher) interval() time.Duration {
	if own := b.window.own; own > 0 && b.options.Waiting != nil {
		return b.options.interval(own, b.options.Waiting())
	}
	return b.options.interval(len(b.window.queues), b.spool.Live())
}

// cutAt is when the window has to be cut for its age. Events that were accepted long ago, before a restart for example, do not
// wait for what is to come.
func (b *Batcher) cutAt() time.Time {
	wait := b.interval()
	if age := b.begun.Sub(b.accepted); age > 0 {
		wait = max(b.options.FlushInterval, wait-age)
	}
	return b.begun.Add(wait)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
