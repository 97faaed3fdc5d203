package ingest

import (
	"errors"
	"strconv"
	"strings"
)

var (
	errNegative = errors.New("must not be negative")
	errFraction = errors.New("must be a whole number")
)

// wholeNumber reads a JSON number that has a whole value, however it is written: 1000, 1000.0, 1e3 and -0. The error
// is errNegative, errFraction or strconv.ErrRange. It never expands an exponent beyond 20 digits.
func wholeNumber(raw string) (uint64, error) {
	unsigned, negative := strings.CutPrefix(raw, "-")
	mantissa, power := unsigned, ""
	if i := strings.IndexAny(unsigned, "eE"); i >= 0 {
		mantissa, power = unsigned[:i], unsigned[i+1:]
	}
	integer, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(integer+fraction, "0")
	if digits == "" {
		return 0, nil
	}
	if negative {
		return 0, errNegative
	}
	significant := strings.TrimRight(digits, "0")
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || exponent > 1<<30 || exponent < -1<<30 {
			if strings.HasPrefix(power, "-") {
				return 0, errFraction
			}
			return 0, strconv.ErrRange
		}
	}
	zeros := exponent - len(fraction) + len(digits) - len(significant)
	switch {
	case zeros < 0:
		return 0, errFraction
	case len(significant)+zeros > 20:
		return 0, strconv.ErrRange
	}
	n, err := strconv.ParseUint(significant+strings.Repeat("0", zeros), 10, 64)
	if err != nil {
		return 0, strconv.ErrRange
	}
	return n, nil
}

// normalDate writes a date with T and Z that has t or a blank, and z, in their places, which RFC 3339 allows.
func normalDate(s string) string {
	const date = len("2006-01-02")
	if len(s) > date && (s[date] == 't' || s[date] == ' ') {
		s = s[:date] + "T" + s[date+1:]
	}
	if rest, ok := strings.CutSuffix(s, "z"); ok {
		s = rest + "Z"
	}
	return s
}

// finerUnit names the unit of a Unix time that is too large to be in seconds; empty: it may be in seconds. The bounds
// are the years 5138 in seconds, in milliseconds and in microseconds.
func finerUnit(unix int64) string {
	switch {
	case unix < 100_000_000_000:
		return ""
	case unix < 100_000_000_000_000:
		return "milliseconds"
	case unix < 100_000_000_000_000_000:
		return "microseconds"
	}
	return "nanoseconds"
}
