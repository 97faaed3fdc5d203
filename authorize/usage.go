package authorize

import (
	"slices"
	"strings"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// rubySpace is the white space that the backend strips.
const rubySpace = " \t\n\v\f\r\x00"

// readUsage appends what the usage parameter of a call asks for, in the order written. Of a name with
// and without blanks around it the later counts.
func readUsage(dst []quota.Amount, usage threescale.Value) []quota.Amount {
	for i := range usage.Len() {
		name, v := usage.Entry(i)
		a := readAmount(strings.Trim(name, rubySpace), v)
		if at := slices.IndexFunc(dst, func(b quota.Amount) bool { return b.Name == a.Name && b.Fault == nil }); at >= 0 && a.Fault == nil {
			dst[at] = a
			continue
		}
		dst = append(dst, a)
	}
	return dst
}

func readAmount(name string, v threescale.Value) quota.Amount {
	a := quota.Amount{Name: name}
	if strings.Trim(v.Text(), rubySpace) == "" {
		a.Fault = threescale.UsageValueEmpty(name)
		return a
	}
	value, set, ok := threescale.ParseUsageValue(v.Text())
	if !ok {
		a.Fault = threescale.UsageValueInvalid(name, v.Text())
		return a
	}
	a.Value, a.Set = int64(min(value, quota.MaxCounter)), set
	if set && v.Text()[0] != '#' { // a # behind a blank is taken, and does nothing
		a.Value, a.Set = 0, false
	}
	return a
}

// askable reports whether a metric of that name can exist: one with brackets could not be written into
// usage[…].
func askable(name string) bool {
	for i := range len(name) {
		if name[i] == '[' || name[i] == ']' {
			return false
		}
	}
	return name != "" && !threescale.TooLong(name)
}
