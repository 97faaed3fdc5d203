package sandbox

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// The names the backend gives its counters, as the recordings list them.

// statsStart writes the start of a period as the names do: digits without trailing zeros, never shorter
// than the day.
func statsStart(start time.Time) string {
	text := start.Format("200601021504")
	return text[:8] + strings.TrimRight(text[8:], "0")
}

func statsName(prefix string, b *bucket) string {
	if b.period() == threescale.Eternity {
		return prefix + "/eternity"
	}
	return prefix + "/" + b.period().String() + ":" + statsStart(b.start())
}

// stats returns every counter of the sandbox by its name.
func stats(s *Sandbox) map[string]int64 {
	all := map[string]int64{}
	collect := func(prefix string, one *series) {
		if one == nil {
			return
		}
		for i := range one.buckets {
			if b := &one.buckets[i]; !b.expired(s.now()) {
				all[statsName(prefix, b)] = int64(b.value)
			}
		}
	}
	gather := func(serviceID, prefix string, c *counters) {
		for i, one := range c.usage {
			collect(prefix+"/metric:"+metricID(serviceID, i), one)
		}
		for code, one := range c.codes {
			collect(prefix+"/response_code:"+code, one)
		}
	}
	for id, l := range s.ledgers {
		prefix := "{service:" + id + "}"
		gather(id, prefix, &l.total)
		for app, c := range l.applications {
			gather(id, prefix+"/cinstance:"+app, c)
		}
	}
	return all
}

var statsPattern = regexp.MustCompile(`^\{service:(\w+)\}(?:/cinstance:(\w+))?/(metric|response_code):(\w+)/(\w+)(?::(\d+))?$`)

// seedStats sets the counter of a name to a value, as it was before a recording.
func seedStats(t *testing.T, s *Sandbox, name string, value int64) {
	m := statsPattern.FindStringSubmatch(name)
	require.NotNil(t, m, name)
	c := &s.ledger(m[1]).total
	if m[2] != "" {
		c = s.ledger(m[1]).application(m[2])
	}
	var one *series
	if m[3] == "metric" {
		index, err := strconv.Atoi(strings.TrimPrefix(m[4], m[1]))
		require.NoError(t, err)
		one = c.metric(index - 1)
	} else {
		one = c.code(m[4])
	}
	p, known := threescale.ParsePeriod(m[5])
	require.True(t, known, name)
	start := time.Time{}
	if m[6] != "" {
		var err error
		start, err = time.Parse("200601021504", m[6]+strings.Repeat("0", 12-len(m[6])))
		require.NoError(t, err)
	}
	one.apply(keyOf(p, start), amount{value: uint64(value), set: true}, s.now())
}
