package ingest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNamesHaveABound: 255 characters, of any size in bytes, in both decoders.
func TestNamesHaveABound(t *testing.T) {
	const template = `{"service_id":"1001","app_id":"a","usage":{"hits":1},"id":"i"}`
	for field, place := range map[string][2]string{
		"app_id": {`"a"`, `"§"`}, "user_key": {`"app_id":"a"`, `"user_key":"§"`}, "usage.§": {`"hits"`, `"§"`}, "id": {`"i"`, `"§"`},
	} {
		for _, character := range []string{"x", "ö", "🙂"} {
			for _, slow := range []bool{false, true} {
				fine, long := strings.Repeat(character, 255), strings.Repeat(character, 256)
				body := strings.Replace(template, place[0], place[1], 1)
				d, err := read(strings.Replace(body, "§", fine, 1), false, slow)
				require.NoError(t, err)
				assert.Len(t, d.events, 1, "%s: %v", field, d.faults.list)
				d, err = read(strings.Replace(body, "§", long, 1), false, slow)
				require.NoError(t, err)
				assert.Empty(t, d.events)
				require.Len(t, d.faults.list, 1, field)
				assert.Equal(t, "must have at most 255 characters", d.faults.list[0].Detail)
				assert.Less(t, len(d.faults.list[0].Field), 110)
				if field != "usage.§" {
					assert.Equal(t, field, d.faults.list[0].Field)
				}
			}
		}
	}
	d, err := read(strings.Replace(template, "1001", strings.Repeat("9", 300), 1), false, false)
	require.NoError(t, err)
	assert.Equal(t, []Fault{{0, "service_id", "is not a configured service"}}, d.faults.list)
}

// TestReportedNamesHaveABound: the backend knows no such name, and says so; what it repeats of it is short.
func TestReportedNamesHaveABound(t *testing.T) {
	l := listen(t, Options{Passthrough: true})
	long := strings.Repeat("x", 20_000)
	for body, want := range map[string]string{
		tokened + "transactions[0][app_id]=" + long + usage:                                             `404 application_not_found`,
		tokened + "transactions[0][user_key]=" + long + usage:                                           `403 user_key_invalid`,
		tokened + "transactions[0][app_id]=a&transactions[0][usage][" + long + "]=1":                    `404 metric_invalid`,
		tokened + "transactions[0][app_id]=a&transactions[0][usage][hits]=" + long:                      `403 usage_value_invalid`,
		`service_token=t&service_id=` + strings.Repeat("9", 256) + "&transactions[0][app_id]=a" + usage: `403 service_token_invalid`,
		`service_token=` + long + `&service_id=7&transactions[0][app_id]=a` + usage:                     `403 service_token_invalid`,
	} {
		status, code, _ := strings.Cut(want, " ")
		reply := l.report(t, body)
		assert.Equal(t, status, reply.Status[:3], want)
		assert.Contains(t, reply.body, `code="`+code+`"`)
		assert.Less(t, len(reply.body), 1000, want)
	}
	assert.Equal(t, http.StatusAccepted, l.report(t, tokened+"transactions[0][app_id]="+url.QueryEscape(strings.Repeat("ö", 255))+usage).StatusCode)
}

// TestManyMetricsCostLittle: what can never fit into a report is not read to its end.
func TestManyMetricsCostLittle(t *testing.T) {
	var many strings.Builder
	for i := range 500_000 {
		fmt.Fprintf(&many, `"m%d":1,`, i)
	}
	begun := time.Now()
	d, err := read(`{"service_id":"1001","app_id":"a","usage":{`+many.String()+`"z":1}}`, false, false)
	require.NoError(t, err)
	assert.Empty(t, d.events)
	assert.Equal(t, []Fault{{0, "usage", "too large for a report"}}, d.faults.list)
	assert.Less(t, cap(d.usage), 4*maxMetrics, "the rest is not kept")
	t.Log("500,000 metrics took", time.Since(begun))
}
