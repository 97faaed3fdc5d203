package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moment is when the tests' requests come in: 2026-11-21T19:37:05Z.
var moment = time.Unix(1795289825, 0)

var testServices = newServices([]Service{
	{ID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"}},
	{ID: "1002", Credentials: threescale.Credentials{ProviderKey: "pkey"}, Metrics: []string{"hits", "größe"}},
})

// read decodes a body, by both ways or by the reference decoder alone.
func read(body string, lines, slow bool) (*decoder, error) {
	d := &decoder{body: []byte(body), slow: slow}
	d.reset(testServices, moment, 1000)
	if lines {
		return d, d.lines()
	}
	return d, d.decode()
}

func TestEventAsProducersWriteIt(t *testing.T) {
	d, err := read(`{"service_id": "1001", "app_id": "app1", "usage": {"hits": 1, "transfer": 512, "idle": 0},
		"timestamp": "2026-11-21T19:36:05Z", "response_code": 200, "id": "8b1f"}`, false, false)
	require.NoError(t, err)
	require.Empty(t, d.faults.list)
	assert.Equal(t, []event.Event{{
		ServiceID: "1001",
		ID:        "8b1f",
		Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "app1"},
			Usage:       threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 512}},
			Timestamp:   moment.Unix() - 60,
			Code:        200,
		},
	}}, d.events)
}

func TestUsualEventsNeverReachTheReferenceDecoder(t *testing.T) {
	for _, body := range []string{
		`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`,
		`{ "usage" : { } , "user_key" : "k" , "service_id" : "1001" }`,
		`{"service_id":"1002","user_key":"größe","usage":{"größe":3,"hits":0},"timestamp":1795289825}`,
		`{"service_id":"1001","app_id":"app1","user_key":null,"usage":{"hits":1},"timestamp":null,"response_code":null,"id":""}`,
		"{\n\t\"service_id\":\"1001\",\r\n\"app_id\":\"a b\",\"usage\":{\"hits\":9007199254740991},\"timestamp\":\"2026-11-21T20:37:05.123456789+01:00\"}",
	} {
		d, err := read(body, false, false)
		require.NoError(t, err)
		require.Len(t, d.events, 1, body)
		assert.Equal(t, len(body), d.scan(0), body)
	}
}

func TestUnusualButFine(t *testing.T) {
	app1 := threescale.Application{ID: "app1"}
	for name, test := range map[string]struct {
		body string
		want threescale.Transaction
	}{
		"escapes": {`{"service_id":"\u0031001","app_id":"app1\u00e9","usage":{"hits":1}}`,
			threescale.Transaction{Application: threescale.Application{ID: "app1é"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
		"nulls for what is not set": {`{"service_id":"1001","app_id":"app1","user_key":null,"usage":{"hits":1},"timestamp":null,"response_code":null,"id":null}`,
			threescale.Transaction{Application: app1, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
		"an empty text for what is not set": {`{"service_id":"1001","app_id":"app1","user_key":"","usage":{"hits":1},"id":""}`,
			threescale.Transaction{Application: app1, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
		"white space around a metric": {`{"service_id":"1001","app_id":"app1","usage":{" hits\t":1}}`,
			threescale.Transaction{Application: app1, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := read(test.body, false, false)
			require.NoError(t, err)
			require.Empty(t, d.faults.list)
			test.want.Timestamp = moment.Unix()
			assert.Equal(t, test.want, d.events[0].Transaction)
		})
	}
}

func TestFaultsNameTheFieldAndNeverTheValue(t *testing.T) {
	many := `{"service_id":"1001","app_id":"secret","usage":{`
	for i := range 4096 {
		many += fmt.Sprintf(`"m%d":1,`, i)
	}
	many += `"m":1}}`
	for body, want := range map[string]string{
		`7`:      "| an event must be an object, not a number",
		`"text"`: "| an event must be an object, not a string",
		`{}`:     "service_id| is required",
		`{"service_id":"7","app_id":"secret","usage":{}}`:                                            "service_id| is not a configured service",
		`{"service_id":1001,"app_id":"secret","usage":{}}`:                                           "service_id| must be a string, not a number",
		`{"service_id":"1001","app_id":"secret"}`:                                                    "usage| is required",
		`{"service_id":"1001","app_id":"secret","usage":[]}`:                                         "usage| must be an object of metric names and numbers, not an array",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":-1}}`:                                "usage.hits| must not be negative",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":"1"}}`:                               "usage.hits| must be a number, not a string",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":1.5}}`:                               "usage.hits| must be a whole number",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":9007199254740992}}`:                  "usage.hits| must be at most 9007199254740991",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":99999999999999999999}}`:              "usage.hits| must be at most 9007199254740991",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":null}}`:                              "usage.hits| must be a number, not null",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":1,"hits":1}}`:                        "usage.hits| appears twice",
		`{"service_id":"1001","app_id":"secret","usage":{"hits":1," hits":1}}`:                       "usage.hits| appears twice",
		`{"service_id":"1001","app_id":"secret","usage":{" ":1}}`:                                    "usage| a metric's name must not be empty",
		`{"service_id":"1002","app_id":"secret","usage":{"other":1}}`:                                "usage.other| is not among the metrics configured for this service",
		`{"service_id":"1001","app_id":"secret","usage":{},"timestamp":"yesterday"}`:                 "timestamp| must be RFC 3339, such as 2026-11-21T19:37:05Z, or whole Unix seconds",
		`{"service_id":"1001","app_id":"secret","usage":{},"timestamp":1.5}`:                         "timestamp| must be RFC 3339, such as 2026-11-21T19:37:05Z, or whole Unix seconds",
		`{"service_id":"1001","app_id":"secret","usage":{},"response_code":99}`:                      "response_code| must be a number from 100 to 999",
		`{"service_id":"1001","app_id":"secret","usage":{},"response_code":"200"}`:                   "response_code| must be a number from 100 to 999",
		`{"service_id":"1001","app_id":"secret","usage":{},"id":"` + strings.Repeat("x", 256) + `"}`: "id| must have at most 255 characters",
		`{"service_id":"1001","app_id":"secret","app_id":"secret","usage":{}}`:                       "app_id| appears twice",
		`{"service_id":"1001","app_id":"secret","Usage":{}}`:                                         "Usage| is not a field of an event",
		`{"service_id":"1001","app_id":"secret","usage":{},"null usage":null}`:                       "null usage| is not a field of an event",
		`{"service_id":"1001","app_id":"\ud83d","usage":{}}`:                                         "app_id| has half of a surrogate pair",
		"{\"service_id\":\"1001\",\"app_id\":\"\xff\",\"usage\":{}}":                                 "| is not valid UTF-8",
		many: "usage| too large for a report",
	} {
		d, err := read(body, false, false)
		require.NoError(t, err, body)
		require.NotEmpty(t, d.faults.list, body)
		got := d.faults.list[0]
		assert.Equal(t, want, got.Field+"| "+got.Detail, body)
		assert.Empty(t, d.events)
		for _, fault := range d.faults.list {
			assert.NotContains(t, fault.Field+fault.Detail, "secret", body)
		}
	}
}

func TestApplicationAndWindow(t *testing.T) {
	for body, field := range map[string]string{
		`{"service_id":"1001","usage":{}}`:                                                 "app_id",
		`{"service_id":"1001","app_id":"a","user_key":"k","usage":{}}`:                     "app_id",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":0}`:                      "timestamp",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":1795203424}`:             "timestamp",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":1795293426}`:             "timestamp",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":1795289825000}`:          "timestamp",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":"1969-12-31T23:59:59Z"}`: "timestamp",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":1795203425}`:             "",
		`{"service_id":"1001","app_id":"a","usage":{},"timestamp":1795293425}`:             "",
	} {
		d, err := read(body, false, false)
		require.NoError(t, err, body)
		if field == "" {
			assert.Empty(t, d.faults.list, body)
			continue
		}
		require.Len(t, d.faults.list, 1, body)
		assert.Equal(t, field, d.faults.list[0].Field, body)
	}
}

func TestMalformedBodies(t *testing.T) {
	const good = `{"service_id":"1001","app_id":"a","usage":{"hits":1}}`
	for body, want := range map[string]string{
		``:                       "byte 0: the body is empty",
		`[` + good:               "byte 54: the array is not closed",
		`[` + good + good:        "byte 54: a comma or a closing bracket must follow an event",
		`[` + good + `,]`:        "byte 55: invalid character ']' looking for beginning of value",
		good + `,` + good:        "byte 53: more follows after the end of the JSON value",
		`[` + good + `,{"a":1x}`: "byte 61: invalid character 'x' after object key:value pair",
		`{"service_id":"1001"`:   "byte 20: the JSON ends early",
		`nul`:                    "byte 3: the JSON ends early",
		"\ufeff" + good:          "byte 0: invalid character 'ï' looking for beginning of value",
	} {
		_, err := read(body, false, false)
		var m *malformed
		require.ErrorAs(t, err, &m, body)
		assert.Equal(t, want, err.Error(), body)
	}
}

func TestLines(t *testing.T) {
	const good = `{"service_id":"1001","app_id":"a","usage":{"hits":1}}`
	for body, want := range map[string]int{
		``: 0, "\n\r\n": 0, good: 1, good + "\n" + good + "\r\n\r\n" + good + "\n": 3,
	} {
		d, err := read(body, true, false)
		require.NoError(t, err, body)
		assert.Len(t, d.events, want, body)
	}
	_, err := read(good+" "+good, true, false)
	assert.EqualError(t, err, "byte 54: a newline must follow an event")
}

func TestTooManyEvents(t *testing.T) {
	body := "[" + strings.Repeat(`{},`, 1000) + `{}]`
	_, err := read(body, false, false)
	var many *tooMany
	require.ErrorAs(t, err, &many)
	assert.EqualError(t, err, "more than 1000 events in one request")
}

func TestFaultsAreListedUpToALimitAndCounted(t *testing.T) {
	d, err := read("["+strings.Repeat(`{},`, 299)+`{}]`, false, false)
	require.NoError(t, err)
	assert.Len(t, d.faults.list, maxFaults)
	assert.Equal(t, 300, d.faults.events)
	assert.Equal(t, 7, d.faults.list[7].Index)
}

func TestDatesAsTimeReadsThem(t *testing.T) {
	for year := 1970; year < 2110; year++ {
		for _, rest := range []string{"-01-01T00:00:00Z", "-02-28T23:59:59.999Z", "-02-29T12:00:00+14:00", "-03-01T00:00:00-03:30",
			"-12-31T23:59:59Z", "-04-31T00:00:00Z", "-13-01T00:00:00Z", "-00-10T00:00:00Z", "-06-15T24:00:00Z", "-06-15T23:60:00Z", "-06-15T23:59:60Z"} {
			s := fmt.Sprint(year) + rest
			var want time.Time
			err := want.UnmarshalText([]byte(s))
			unix, ok := rfc3339(s)
			require.Equal(t, err == nil, ok, s)
			if ok {
				require.Equal(t, want.Unix(), unix, s)
			}
		}
	}
}

// FuzzScannerAgainstReference holds the scanner with its fallback against the reference decoder alone, and the
// reference decoder's idea of the whole body against encoding/json's.
func FuzzScannerAgainstReference(f *testing.F) {
	for _, seed := range []string{
		`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`,
		`[{"service_id":"1001","user_key":"k","usage":{"hits":1,"transfer":512},"timestamp":"2026-11-21T19:36:05.5+00:00","response_code":200,"id":"x"} , {"service_id":"1002","app_id":"a","usage":{"hits":0}}]`,
		`{"service_id":"1001","app_id":"é","usage":{"größe":01,"b":-0},"timestamp":1795289825}`,
		"{\"service_id\":\"1001\",\"app_id\":\"a\",\"usage\":{}}\n{\"service_id\":\"1001\",\"app_id\":\"\\u0061\",\"usage\":{\" x\":1}}\n",
		`[{},7,null,{"id":""}]`, `{"service_id":"1001","app_id":"a","usage":{"a":1,"b":2,"a":3}}`, `[]`, `[`, ``,
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body string, lines bool) {
		both, err := read(body, lines, false)
		alone, referenceErr := read(body, lines, true)
		require.Equal(t, referenceErr, err)
		require.Equal(t, alone.faults, both.faults)
		require.Equal(t, len(alone.events), len(both.events))
		for i := range both.events {
			want, got := alone.events[i], both.events[i]
			if len(want.Usage) == 0 && len(got.Usage) == 0 {
				want.Usage, got.Usage = nil, nil
			}
			require.Equal(t, want, got)
		}
		var many *tooMany
		if !lines && !errors.As(err, &many) {
			require.Equal(t, json.Valid([]byte(body)), err == nil, "encoding/json disagrees on the body")
		}
	})
}
