package threescale

import (
	"math"
	"strings"
)

// ParseTimestamp reads a timestamp as the backend's worker does: an integer as Ruby reads it is Unix
// seconds, otherwise a free-form date that must name year, month and day; fractions of a second are
// dropped. ok is false where the backend takes the time of processing instead, without an error. The
// referee is the recording timestamp-parsing. An integer above the range of int64 yields the nearest
// value, which is outside of every window.
func ParseTimestamp(s string) (unix int64, ok bool) {
	if at, ok := parseInteger(s); ok {
		return at, true
	}
	if at, ok := parsePlainDate(s); ok {
		return at, true
	}
	return parseDate(s)
}

// parseInteger is Ruby's Integer(): signs, 0x, 0b, 0o, 0d, a leading 0 for octal, and single
// underscores between digits.
func parseInteger(s string) (int64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	digits, base := radix(s)
	if digits == "" {
		return 0, false
	}
	n, ok := parseDigits(digits, base)
	switch {
	case !ok:
		return 0, false
	case negative && n > math.MaxInt64:
		return math.MinInt64, true
	case negative:
		return -int64(n), true
	}
	return int64(min(n, math.MaxInt64)), true
}

func radix(s string) (digits string, base uint64) {
	if len(s) < 2 || s[0] != '0' {
		return s, 10
	}
	switch s[1] {
	case 'x', 'X':
		return s[2:], 16
	case 'b', 'B':
		return s[2:], 2
	case 'o', 'O':
		return s[2:], 8
	case 'd', 'D':
		return s[2:], 10
	}
	return s, 8
}

func parseDigits(s string, base uint64) (n uint64, ok bool) {
	underscore := true // one may not come first
	for i := range len(s) {
		if s[i] == '_' {
			if underscore {
				return 0, false
			}
			underscore = true
			continue
		}
		underscore = false
		d := uint64(unhex(s[i]))
		if d >= base {
			return 0, false
		}
		if n > (math.MaxUint64-d)/base {
			n = math.MaxUint64
			continue
		}
		n = n*base + d
	}
	return n, !underscore
}

// parsePlainDate reads the usual form, YYYY-MM-DD HH:MM:SS with T or a blank, and then
// nothing, Z, UTC or a numeric offset. Everything else is left to parseDate, which it agrees with.
func parsePlainDate(s string) (int64, bool) {
	const shape = "dddd-dd-dd dd:dd:dd"
	if len(s) < len(shape) {
		return 0, false
	}
	for i := range len(shape) {
		c := s[i]
		switch {
		case shape[i] == 'd' && (c < '0' || c > '9'):
			return 0, false
		case shape[i] == ' ' && c != ' ' && c != 'T':
			return 0, false
		case (shape[i] == '-' || shape[i] == ':') && c != shape[i]:
			return 0, false
		}
	}
	offset, ok := plainOffset(s[len(shape):])
	if !ok {
		return 0, false
	}
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	d := date{year: two(0)*100 + two(2), month: two(5), day: two(8), hour: two(11), minute: two(14), second: two(17)}
	at, ok := d.unix()
	return at - offset, ok
}

// plainOffset reads "", "Z", " UTC" and offsets of four digits.
func plainOffset(s string) (seconds int64, ok bool) {
	switch s {
	case "", "Z", " UTC", " +0000":
		return 0, true
	}
	s = strings.TrimPrefix(s, " ")
	if len(s) == 6 && s[3] == ':' {
		s = s[:3] + s[4:]
	}
	if len(s) != 5 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	return numericOffset(s)
}
