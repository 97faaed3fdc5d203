package sender

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// window says which timestamps a report may have that is sent at a moment: by our clock, and by what is known of the
// backend's. The margins of the options are taken off. Times are Unix seconds.
type window struct {
	now            time.Time
	oldest, newest int64 // by our clock

	// By the backend's clock, as far as answers have shown it. Where bounds are all that is known of it, newest is the
	// earliest that it can be, since what waits longer loses nothing, and oldest what is certainly too old.
	backendOldest, backendNewest int64
	ahead                        time.Duration // by how much the backend's clock is certainly ahead; negative: behind; 0: within the margins, or unknown
	mostAhead                    time.Duration // by how much it can be
	own                          bool          // the backend showed it itself
}

// windowAt returns the window for reports that are sent at a moment.
func (s *Sender) windowAt(now time.Time) window {
	skew, o := s.client.Clock().Skew(now), &s.options
	oldest, newest := now.Add(o.ExpiredMargin-threescale.MaxPast), now.Add(threescale.MaxFuture-o.FutureMargin)
	w := window{now: now, own: skew.Own, oldest: oldest.Unix(), newest: newest.Unix()}
	least := skew.Ahead()
	switch ahead := skew.Ahead(); {
	case ahead > o.ExpiredMargin:
		w.ahead, w.mostAhead = ahead, ahead
		if skew.Width() <= threescale.MaxPast {
			w.mostAhead = skew.Most
		}
	case ahead < -o.FutureMargin:
		w.ahead, w.mostAhead = ahead, ahead
		if skew.Width() <= threescale.MaxPast {
			least = skew.Least
		}
	default:
		least = 0
	}
	w.backendOldest, w.backendNewest = oldest.Add(w.ahead).Unix(), newest.Add(least).Unix()
	return w
}

// fit says what becomes of a transaction.
type fit uint8

const (
	fits    fit = iota
	tooNew      // waits until it is not
	tooSoon     // too old by the backend's clock, which is ahead: waits for it to be set right, as long as our clock allows
	tooOld
)

// of says how a timestamp fits. What our clock finds too old is sent all the same where the backend itself showed that
// its clock does not.
func (w *window) of(at int64) fit {
	switch {
	case at == 0:
		return fits
	case at > min(w.newest, w.backendNewest):
		return tooNew
	case at < w.oldest && (!w.own || at < w.backendOldest):
		return tooOld
	case at < w.backendOldest:
		return tooSoon
	}
	return fits
}

// byBackend reports whether it is only the backend's clock that keeps a timestamp back.
func (w *window) byBackend(at int64) bool {
	f := w.of(at)
	return f == tooSoon || f == tooNew && at <= w.newest
}

// end is before which moment a timestamp is too old to be sent.
func (w *window) end() int64 {
	if w.own && w.ahead < 0 {
		return w.backendOldest
	}
	return max(w.oldest, w.backendOldest)
}

// left is for how long the backend will take a timestamp, at the least.
func (w *window) left(at int64) time.Duration {
	return time.Unix(at, 0).Add(threescale.MaxPast - w.mostAhead).Sub(w.now)
}

// opens is when a timestamp that does not fit is looked at again.
func (w *window) opens(at int64) time.Time {
	switch w.of(at) {
	case tooNew:
		return w.now.Add(time.Duration(at-min(w.newest, w.backendNewest)) * time.Second)
	case tooSoon:
		return w.now.Add(time.Duration(at-w.oldest)*time.Second + time.Second)
	}
	return w.now
}

// stamp is the timestamp of what is sent with the time of the attempt: one that the backend takes.
func (w *window) stamp() time.Time {
	now := w.now.Unix()
	return time.Unix(max(min(now, w.backendNewest), w.backendOldest), 0)
}
