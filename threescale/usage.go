package threescale

import (
	"math"
	"strings"
)

// ParseUsageValue reads a usage value as the backend does: optional white space, an optional #, ASCII
// digits, optional white space (recordings report-spaces-value, report-value-plus-sign). set tells
// that a # stood there: counters are set to value, not increased by it. ok is false for everything the
// backend answers with usage_value_invalid.
//
// A number above the range of uint64 yields math.MaxUint64 with ok true, since the backend takes it
// too, to stumble later (recording report-huge-int): compare with MaxValue.
func ParseUsageValue(s string) (value uint64, set bool, ok bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	s, set = strings.CutPrefix(s, "#")
	if s == "" {
		return 0, set, false
	}
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, set, false
		}
		value = addDigit(value, uint64(c-'0'))
	}
	return value, set, true
}

func addDigit(value, digit uint64) uint64 {
	if value > (math.MaxUint64-digit)/10 {
		return math.MaxUint64
	}
	return value*10 + digit
}

// Get returns the value of a metric, 0 if the usage has none.
func (u Usage) Get(metric string) uint64 {
	for i := range u {
		if u[i].Metric == metric {
			return u[i].Value
		}
	}
	return 0
}

// withoutZeros removes, in place, what adds nothing.
func (u Usage) withoutZeros() Usage {
	kept := u[:0]
	for _, inc := range u {
		if inc.Value != 0 {
			kept = append(kept, inc)
		}
	}
	return kept
}
