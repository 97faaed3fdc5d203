package ingest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWholeNumbersInAnyNotation: a usage value with a whole value is taken, and counts the same.
func TestWholeNumbersInAnyNotation(t *testing.T) {
	for text, want := range map[string]uint64{"1.0": 1, "1e3": 1000, "1.5E+1": 15, "100e-2": 1, "-0": 0, "-0.0e9": 0, "0e999999999999": 0} {
		for _, slow := range []bool{false, true} {
			d, err := read(fmt.Sprintf(`{"service_id":"1001","app_id":"a","usage":{"hits":%s}}`, text), false, slow)
			require.NoError(t, err, text)
			require.Empty(t, d.faults.list, text)
			require.Len(t, d.events, 1, text)
			if want == 0 {
				assert.Empty(t, d.events[0].Usage, text)
				continue
			}
			assert.Equal(t, want, d.events[0].Usage[0].Value, text)
		}
	}
	for _, text := range []string{"1.5", "-1", "1e-1", "1e30", "1e9999999999999999999", "1e-9999999999999999999", "-1e-2"} {
		d, err := read(fmt.Sprintf(`{"service_id":"1001","app_id":"a","usage":{"hits":%s}}`, text), false, false)
		require.NoError(t, err, text)
		require.Len(t, d.faults.list, 1, text)
		assert.Equal(t, "usage.hits", d.faults.list[0].Field, text)
	}
}

// TestTimestampsAsTheyAreMeant: RFC 3339 in its other letters is taken; a finer unit than seconds is named.
func TestTimestampsAsTheyAreMeant(t *testing.T) {
	now := moment.UTC()
	for _, layout := range []string{"2006-01-02t15:04:05z", "2006-01-02 15:04:05Z", "2006-01-02 15:04:05+00:00"} {
		d, err := read(fmt.Sprintf(`{"service_id":"1001","app_id":"a","usage":{"hits":1},"timestamp":%q}`, now.Format(layout)), false, false)
		require.NoError(t, err)
		require.Empty(t, d.faults.list, layout)
		assert.Equal(t, now.Unix(), d.events[0].Timestamp)
	}
	for unit, value := range map[string]int64{"milliseconds": now.UnixMilli(), "microseconds": now.UnixMicro(), "nanoseconds": now.UnixNano()} {
		d, err := read(fmt.Sprintf(`{"service_id":"1001","app_id":"a","usage":{"hits":1},"timestamp":%d}`, value), false, false)
		require.NoError(t, err)
		require.Len(t, d.faults.list, 1)
		assert.Equal(t, "timestamp", d.faults.list[0].Field)
		assert.Contains(t, d.faults.list[0].Detail, unit)
	}
}
