package source

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// table unfolds an answer and writes it as CSV, after a line of the types.
func table(t *testing.T, answer string, zone *time.Location) string {
	t.Helper()
	v, err := decode([]byte(answer))
	require.NoError(t, err)
	records, err := unfold(v)
	require.NoError(t, err)
	got, err := collect(records, zone)
	require.NoError(t, err)
	return written(t, got)
}

func written(t *testing.T, got *Table) string {
	t.Helper()
	var types []string
	for _, c := range got.Columns {
		types = append(types, c.Type)
	}
	e, err := encode(&Result{Table: got})
	require.NoError(t, err)
	return strings.Join(types, ",") + "\n" + string(e.csv())
}

// TestUnfold: answers of the hosted service and of porta's own tests, shortened.
func TestUnfold(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	require.NoError(t, err)
	for answer, want := range map[string]string{
		`{"metric":{"id":2,"name":"Hits","system_name":"hits","unit":"hit"},"period":{"name":null,"since":"2026-02-28T00:00:00Z","until":"2026-03-01T23:59:59Z","timezone":"Etc/UTC","granularity":"day"},"total":7,"values":[3,4]}`: "time,integer,integer,string,string,string\ntime,value,metric_id,metric_name,metric_system_name,metric_unit\n" +
			"2026-02-28T01:00:00+01:00,3,2,Hits,hits,hit\n2026-03-01T01:00:00+01:00,4,2,Hits,hits,hit\n",
		// the day on which summer time begins, in the account's own zone
		`{"period":{"name":null,"since":"2026-03-29T00:00:00+01:00","until":"2026-03-30T23:59:59+02:00","timezone":"Europe/Madrid","granularity":"day"},"values":[1,2]}`: "time,integer\ntime,value\n2026-03-29T00:00:00+01:00,1\n2026-03-30T00:00:00+02:00,2\n",
		// six hours, as a number
		`{"period":{"name":"week","since":"2026-02-01T12:00:00Z","until":"2026-02-01T23:59:59Z","granularity":21600},"values":[1,2]}`:                                                                     "time,integer\ntime,value\n2026-02-01T13:00:00+01:00,1\n2026-02-01T19:00:00+01:00,2\n",
		`{"services":[{"service":{"id":2555417760888,"name":"Random API","created_at":"2018-10-02T17:34:59Z","links":[{"rel":"x","href":"y"}]}},{"service":{"id":1,"name":"=b","backend_version":"2"}}]}`: "integer,string,time,string\nid,name,created_at,backend_version\n2555417760888,Random API,2018-10-02T19:34:59+02:00,\n1,'=b,,2\n",
		`{"applications":[{"application":{"id":1,"user_key":"REDACTED","provider_verification_key":"REDACTED","name":"dummy"}}]}`:                                                                         "integer,string\nid,name\n1,dummy\n",
		`{"applications":[{"name":"My App","id":11,"value":"300","account":{"id":5,"name":"ACME"}}],"metric":{"id":2},"period":{"name":"day","since":"2026-01-15T00:00:00Z"}}`:                            "string,integer,integer,integer,string\nname,id,value,account_id,account_name\nMy App,11,300,5,ACME\n",
		`{"metrics":[{"metric":{"id":1}}],"methods":[{"metric":{"id":2}}]}`:                                                                                                                               "string,integer\nlist,id\nmetrics,1\nmethods,2\n",
		`{"application":{"id":1,"enabled":true,"share":0.5}}`:                                                                                                                                             "integer,boolean,number\nid,enabled,share\n1,true,0.5\n",
		`[{"backend_usage":{"backend_id":1}}]`: "integer\nbackend_id\n1\n",
		`{"services":[]}`:                      "\n\n",
	} {
		assert.Equal(t, want, table(t, answer, madrid), answer)
	}
}

// TestHalfAnAnswer: what is cut off, or has other values than its period, is an error.
func TestHalfAnAnswer(t *testing.T) {
	const head = `{"period":{"since":"2026-02-01T00:00:00Z","until":"2026-02-02T23:59:59Z","timezone":"Etc/UTC","granularity":"day"},"values":`
	for answer, want := range map[string]string{
		`{"services":[{"service":{"id":1`: "a part of it is missing", head + `[1]}`: "half an answer: 1 values for a period of 2", head + `[1,null]}`: "half an answer: value 1",
		`{"period":{"since":"x"},"values":[]}`: "period.since", `"text"`: "unknown shape", "<html>": "not JSON", strings.Repeat("[", 40): "unknown shape",
		strings.Replace(head, "Etc/UTC", "Nowhere", 1) + `[1,2]}`: "period.timezone", strings.Replace(head, `"day"`, `"minute"`, 1) + `[1,2]}`: "period.granularity",
	} {
		v, err := decode([]byte(answer))
		if err == nil {
			_, err = unfold(v)
		}
		assert.ErrorContains(t, err, want, answer)
	}
}

func TestRename(t *testing.T) {
	got := newTable("time:time", "value:integer")
	require.NoError(t, got.rename(map[string]string{"value": "hits"}))
	assert.Equal(t, "time,integer\ntime,hits\n", written(t, got))
	assert.ErrorContains(t, got.rename(map[string]string{"valu": "x"}), `"valu": no such column: expected one of time, hits`)
	assert.ErrorContains(t, got.rename(map[string]string{"hits": "time"}), `two are called "time"`)
}

// TestJoin: figures of both sides beside each other; rows that one side lacks.
func TestJoin(t *testing.T) {
	ours, theirs := newTable("time:time", "value:integer"), newTable("time:time", "value:integer")
	require.NoError(t, ours.add("2026-02-01T00:00:00Z", int64(5)))
	require.NoError(t, ours.add("2026-02-02T00:00:00Z", int64(7)))
	require.NoError(t, theirs.add("2026-02-01T00:00:00Z", int64(4)))
	require.NoError(t, theirs.add("2026-02-03T00:00:00Z", int64(1)))
	got, err := join(ours, theirs)
	require.NoError(t, err)
	assert.Equal(t, "time,integer,integer,integer\ntime,value_ledger,value_3scale,value_difference\n2026-02-01T00:00:00Z,5,4,1\n2026-02-02T00:00:00Z,7,,\n2026-02-03T00:00:00Z,,1,\n", written(t, got))

	ours, theirs = newTable("id:integer", "name:string"), newTable("id:integer", "name:string", "state:string")
	require.NoError(t, ours.add(int64(1), "1001"))
	require.NoError(t, ours.add(int64(3), "1003"))
	require.NoError(t, theirs.add(int64(1), "Orders", "live"))
	require.NoError(t, theirs.add(int64(2), "Search", "live"))
	got, err = join(ours, theirs)
	require.NoError(t, err)
	assert.Equal(t, "string,integer,string,string\nknown_to,id,name,state\nboth,1,Orders,live\n3scale,2,Search,live\nledger,3,1003,\n", written(t, got))
}
