package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 4MiB in the file.
type Size int64

// The binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
	PiB Size = 1 << 50
)

// units from the largest to the smallest, so that String finds the shortest form first.
var units = []struct {
	name string
	size Size
}{
	{"PiB", PiB}, {"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// String writes the size in the largest binary unit that holds it without a fraction.
func (s Size) String() string {
	for _, u := range units[:5] {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseSize reads a size: a whole number of bytes, or a decimal number with a unit (B, kB, MB, GB, TB,
// KiB, MiB, GiB, TiB, PiB), in any case.
func ParseSize(s string) (Size, error) {
	number, unit := strings.TrimSpace(s), Size(1)
	for _, u := range units {
		if head := len(number) - len(u.name); head > 0 && strings.EqualFold(number[head:], u.name) {
			number, unit = strings.TrimSpace(number[:head]), u.size
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/int64(unit) {
		return Size(n) * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0) || f*float64(unit) >= math.MaxInt64 || unit == 1 {
		return 0, fmt.Errorf("%q: not a size such as 4MiB", s)
	}
	return Size(f * float64(unit)), nil
}
