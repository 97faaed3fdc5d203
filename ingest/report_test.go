package ingest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Literal requests of 3scale's official clients, as they were seen on the wire. ⏲ stands for a moment in the layout
// the client writes.
var shapes = []struct {
	client  string
	head    string
	body    string
	layout  string // of the timestamp, as text; "unix" for seconds; empty: none
	escape  func(string) string
	want    []threescale.Transaction // without the timestamp
	service string
	own     threescale.Credentials // passed through; zero: the configured ones
}{
	{
		client: "python, token", layout: "2006-01-02 15:04:05 +0000", escape: percent,
		body:    `service_token=stoken1001&service_id=1001&&transactions[0][app_id]=APP&transactions[0][timestamp]=⏲&transactions[0][usage][hits]=1`,
		service: "1001", want: one("APP", "hits", 1),
	},
	{
		client: "python, provider key", layout: "2006-01-02 15:04:05 +0000", escape: percent,
		body:    `provider_key=pkey&service_id=1002&&transactions[0][app_id]=APP&transactions[0][timestamp]=⏲&transactions[0][usage][hits]=1`,
		service: "1002", want: one("APP", "hits", 1),
	},
	{
		client: "ruby", layout: "2006-01-02 15:04:05 UTC", escape: url.QueryEscape,
		body:    `transactions%5B0%5D%5Bapp_id%5D=a&transactions%5B0%5D%5Btimestamp%5D=⏲&transactions%5B0%5D%5Busage%5D%5Bhits%5D=1&transactions%5B0%5D%5Blog%5D%5Bcode%5D=200&transactions%5B1%5D%5Buser_key%5D=u&transactions%5B1%5D%5Busage%5D%5Bhits%5D=3&service_token=T%252BK&service_id=S`,
		service: "S", own: threescale.Credentials{ServiceToken: "T%2BK"},
		want: []threescale.Transaction{
			{Application: threescale.Application{ID: "a"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Code: 200},
			{Application: threescale.Application{UserKey: "u"}, Usage: threescale.Usage{{Metric: "hits", Value: 3}}},
		},
	},
	{
		client: "node, provider key", layout: "2006-01-02 15:04:05 +0000", escape: percent,
		body:    `transactions%5B0%5D%5Bapp_id%5D=a&transactions%5B0%5D%5Busage%5D%5Bhits%5D=1&transactions%5B0%5D%5Btimestamp%5D=⏲&provider_key=PK&service_id=S`,
		service: "S", own: threescale.Credentials{ProviderKey: "PK"}, want: one("a", "hits", 1),
	},
	{
		client:  "node, the token inside the transactions",
		body:    `transactions%5B0%5D%5Bservice_token%5D=stoken1001&transactions%5B0%5D%5Bapp_id%5D=a&transactions%5B0%5D%5Busage%5D%5Bhits%5D=1&service_id=1001`,
		service: "1001", want: one("a", "hits", 1),
	},
	{
		client: "go, all in the query string", layout: "unix",
		head: "POST /transactions.xml?service_id=1001&service_token=stoken1001&transactions%5B0%5D%5Bapp_id%5D=a%26b%3D%2B+c&transactions%5B0%5D%5Btimestamp%5D=⏲&transactions%5B0%5D%5Busage%5D%5Bmy+metric%5D=1&transactions%5B1%5D%5Busage%5D%5Bhits%5D=3&transactions%5B1%5D%5Buser_key%5D=u HTTP/1.1\n" +
			"Accept: application/xml\nContent-Length: 0",
		service: "1001",
		want: []threescale.Transaction{
			{Application: threescale.Application{ID: "a&b=+ c"}, Usage: threescale.Usage{{Metric: "my metric", Value: 1}}},
			{Application: threescale.Application{UserKey: "u"}, Usage: threescale.Usage{{Metric: "hits", Value: 3}}},
		},
	},
	{
		client: "java, a raw + in the timestamp", layout: "2006-01-02 15:04:05 +0000", escape: strings.NewReplacer(" ", "%20", ":", "%3A").Replace,
		body:    `service_token=stoken1001&service_id=1001&transactions%5B0%5D%5Bapp_id%5D=a&transactions%5B0%5D%5Btimestamp%5D=⏲&transactions%5B0%5D%5Busage%5D%5Bhits%5D=1`,
		service: "1001", want: one("a", "hits", 1),
	},
	{
		client: "php, an offset, values encoded twice", layout: "2006-01-02 15:04:05 -07:00", escape: url.QueryEscape,
		body:    `service_token=stoken1001&service_id=1001&transactions%5B0%5D%5Bapp_id%5D=a%2Bb&transactions%5B0%5D%5Btimestamp%5D=⏲&transactions%5B0%5D%5Busage%5D%5Bhits%5D=1`,
		service: "1001", want: one("a+b", "hits", 1),
	},
	{
		client:  "dotnet, no service",
		body:    `provider_key=PK&transactions[zero][app_id]=A b&transactions[zero][usage][hits]=1`,
		service: "", own: threescale.Credentials{ProviderKey: "PK"}, want: one("A b", "hits", 1),
	},
	{
		client:  "dotnet, an empty provider key beside a token",
		body:    `provider_key=&service_token=stoken1001&service_id=1001&transactions[0][app_id]=A&transactions[0][usage][hits]=1`,
		service: "1001", want: one("A", "hits", 1),
	},
	{
		client: "perl, CR LF between parameters", layout: "2006-01-02 15:04:05", escape: percent,
		body:    "service_token=stoken1001&\r\nservice_id=1001&transactions[0][app_id]=A&transactions[0][usage][hits]=1&transactions[0][timestamp]=⏲",
		service: "1001", want: one("A", "hits", 1),
	},
	{
		client:  "perl, an empty timestamp",
		body:    "service_id=1001&\r\nservice_token=stoken1001&transactions[0][app_id]=A&transactions[0][usage][hits]=1&transactions[0][timestamp]=",
		service: "1001", want: one("A", "hits", 1),
	},
	{
		client: "rust, inner names without brackets", layout: "unix",
		body:    `service_id=1001&service_token=stoken1001&transactions[0]timestamp=⏲&transactions[0]app_id=A&transactions[0]usage[hits]=1`,
		service: "1001", want: one("A", "hits", 1),
	},
}

func one(app, metric string, value uint64) []threescale.Transaction {
	return []threescale.Transaction{{Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: metric, Value: value}}}}
}

// percent encodes as Ruby's and JavaScript's functions for URI components do, with %20 for a blank.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func TestClientsReportAsTheyDo(t *testing.T) {
	l := listen(t, Options{Passthrough: true})
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, shape := range shapes {
		t.Run(shape.client, func(t *testing.T) {
			head := shape.head
			if head == "" {
				head = "POST /transactions.xml HTTP/1.1" + form
			}
			stamp := write(at, shape.layout, shape.escape)
			begun := time.Now().Unix()
			reply := l.send(t, strings.Replace(head, "⏲", stamp, 1), strings.Replace(shape.body, "⏲", stamp, 1))
			assert.Equal(t, 202, reply.StatusCode, reply.body)
			assert.Empty(t, reply.body)
			got := l.take()
			require.Len(t, got, len(shape.want))
			for i, want := range shape.want {
				if i == 0 && shape.layout != "" {
					assert.Equal(t, at.Unix(), got[i].Timestamp)
				} else {
					assert.InDelta(t, begun, got[i].Timestamp, 2)
				}
				want.Timestamp = got[i].Timestamp
				assert.Equal(t, event.Event{ServiceID: shape.service, Credentials: shape.own, Transaction: want}, got[i])
			}
		})
	}
}

func write(at time.Time, layout string, escape func(string) string) string {
	if layout == "unix" {
		return fmt.Sprint(at.Unix())
	}
	if strings.Contains(layout, "-07:00") {
		return escape(at.In(time.FixedZone("", 3600)).Format(layout))
	}
	if escape == nil {
		return at.UTC().Format(layout)
	}
	return escape(at.UTC().Format(layout))
}

func TestGoClientsLongQuery(t *testing.T) {
	l := listen(t, Options{})
	query := "service_id=1001&service_token=stoken1001"
	for i := range 5000 {
		query += fmt.Sprintf("&transactions%%5B%d%%5D%%5Bapp_id%%5D=a%d&transactions%%5B%d%%5D%%5Busage%%5D%%5Bhits%%5D=1", i, i, i)
	}
	require.Greater(t, len(query), 64<<10)
	reply := l.send(t, "POST /transactions.xml?"+query+" HTTP/1.1\nContent-Length: 0", "")
	assert.Equal(t, 202, reply.StatusCode)
	got := l.take()
	require.Len(t, got, 5000, "also above the backend's cap of 4096 parameters")
	assert.Equal(t, "a4999", got[4999].Application.ID)
}

func TestWaysToCarryAForm(t *testing.T) {
	const body = `service_token=stoken1001&service_id=1001&transactions[0][app_id]=A&transactions[0][usage][hits]=1`
	l := listen(t, Options{})
	for name, head := range map[string]string{
		"no content type":  "POST /transactions.xml HTTP/1.1",
		"a charset":        "POST /transactions.xml HTTP/1.1\nContent-Type: Application/X-WWW-form-urlencoded; charset=utf-8",
		"HTTP/1.0":         "POST /transactions.xml HTTP/1.0" + form,
		"a double slash":   "POST //transactions.xml HTTP/1.1" + form,
		"dot segments":     "POST /x/../%2e/transactions.xml HTTP/1.1" + form,
		"a strange escape": "POST /%74ransactions.xml HTTP/1.1" + form,
	} {
		reply := l.send(t, head, body)
		assert.Equal(t, 202, reply.StatusCode, name)
		assert.Equal(t, "0", reply.Header.Get("Content-Length"), name)
		assert.Len(t, l.take(), 1, name)
	}
	chunked := "POST /transactions.xml HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n" +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	reply := l.exchange(t, chunked)
	assert.Equal(t, 202, reply.StatusCode)
	assert.Len(t, l.take(), 1)
}

func TestFlatUsageAndZeros(t *testing.T) {
	l := listen(t, Options{})
	reply := l.send(t, "POST /transactions.xml HTTP/1.1\n3scale-Options: flat_usage=1&no_body=1"+form,
		`service_token=stoken1001&service_id=1001&transactions[0][app_id]=A&transactions[0][usage][hits]=0&transactions[1][app_id]=B&transactions[1][usage][hits]=2&transactions[1][usage][idle]=0`)
	assert.Equal(t, 202, reply.StatusCode)
	got := l.take()
	require.Len(t, got, 2)
	assert.Empty(t, got[0].Usage, "nothing to report, accepted all the same")
	assert.True(t, got[1].FlatUsage)
	assert.Equal(t, threescale.Usage{{Metric: "hits", Value: 2}}, got[1].Usage)
}
