package authorize

import "fmt"

// Mode says what is answered when the backend cannot be asked: no connection, no answer in time, an
// answer that is none of its own (429, 5xx, a proxy's page).
type Mode uint8

// The modes. In all of them a remembered answer is served for its TTL, except in None.
const (
	// Resilient serves what is remembered, yes and no, for MaxStale after it was learnt, with limits
	// kept here; then, and for what was never asked, the answer is no. It is the zero Mode.
	Resilient Mode = iota
	// Strict says no as soon as the TTL is over.
	Strict
	// Allow is Resilient, but says yes to what is not known, unlimited: a new key, or one too stale.
	// What was refused last stays refused for MaxStale.
	Allow
	// None remembers nothing: every call waits for an answer that was asked for after it came in, and
	// without one it is refused.
	None
)

var modeNames = [...]string{"resilient", "strict", "allow", "none"}

// String returns the mode's name in the configuration.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	for i, name := range modeNames {
		if name == s {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("authorize: no mode %q", s)
}

// servesStale reports whether an answer may outlive its TTL while the backend is away.
func (m Mode) servesStale() bool { return m == Resilient || m == Allow }
