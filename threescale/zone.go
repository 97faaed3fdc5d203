package threescale

import (
	"strconv"
	"strings"
)

// zoneHours are the zone names the backend knows for certain: those of RFC 2822 and the common
// abbreviations that are not ambiguous. Any other name is ignored, as the backend ignores one it does
// not know.
var zoneHours = map[string]float64{
	"utc": 0, "ut": 0, "gmt": 0, "z": 0, "wet": 0,
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
	"ast": -4, "adt": -3, "nst": -3.5, "ndt": -2.5, "brt": -3, "brst": -2, "art": -3, "clt": -4, "clst": -3,
	"akst": -9, "akdt": -8, "hst": -10, "hast": -10, "hadt": -9,
	"bst": 1, "cet": 1, "met": 1, "mez": 1, "wat": 1, "west": 1,
	"cest": 2, "eet": 2, "mest": 2, "mesz": 2, "sast": 2,
	"eat": 3, "eest": 3, "msk": 3, "msd": 4, "ist": 5.5, "sgt": 8, "jst": 9, "kst": 9,
	"nzst": 12, "nzdt": 13,
	"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "k": 10, "l": 11, "m": 12,
	"n": -1, "o": -2, "p": -3, "q": -4, "r": -5, "s": -6, "t": -7, "u": -8, "v": -9, "w": -10, "x": -11, "y": -12,
}

// zoneOffset returns the seconds east of UTC, 0 for no zone and for an unknown one.
func zoneOffset(zone string) int64 {
	zone = strings.ToLower(strings.Join(strings.Fields(zone), " "))
	summer := int64(0)
	if name, ok := strings.CutSuffix(zone, " daylight time"); ok {
		zone, summer = name, 3600
	} else if name, ok := strings.CutSuffix(zone, " dst"); ok {
		zone, summer = name, 3600
	} else if name, ok := strings.CutSuffix(zone, " standard time"); ok {
		zone = name
	}
	if hours, ok := zoneHours[zone]; ok {
		return int64(hours*3600) + summer
	}
	zone = strings.TrimPrefix(strings.TrimPrefix(zone, "gmt"), "utc")
	if seconds, ok := numericOffset(zone); ok {
		return seconds
	}
	return 0
}

// numericOffset reads a signed offset: hours, hours and minutes with or without colons, or hours with
// a fraction.
func numericOffset(s string) (seconds int64, ok bool) {
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	sign := int64(1)
	if s[0] == '-' {
		sign = -1
	}
	hour, minute, second := splitOffset(s[1:])
	if hour == "" || number(hour) > 23 || number(minute) > 59 || number(second) > 59 {
		return 0, false
	}
	return sign * int64(number(hour)*3600+number(minute)*60+number(second)), true
}

func splitOffset(s string) (hour, minute, second string) {
	if hour, rest, ok := strings.Cut(s, ":"); ok {
		minute, second, _ := strings.Cut(rest, ":")
		return hour, minute, second
	}
	if i := strings.IndexAny(s, ",."); i >= 0 {
		fraction, _ := strconv.ParseFloat("0."+s[i+1:], 64)
		seconds := int(fraction * 3600)
		return s[:i], strconv.Itoa(seconds / 60), strconv.Itoa(seconds % 60)
	}
	first := min(2-len(s)%2, len(s))
	hour, s = s[:first], s[first:]
	if len(s) >= 2 {
		minute, s = s[:2], s[2:]
	}
	if len(s) >= 2 {
		second = s[:2]
	}
	return hour, minute, second
}
