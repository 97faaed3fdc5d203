package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/event"
)

// nothing is a journal that keeps all it gets.
type nothing struct{}

func (nothing) Append(context.Context, []event.Event) (int, error) { return 0, nil }

// TestUsageThatCouldNotBeReportedInTimeIsRefused: on every way in, by text and by number, with the limit in the answer.
func TestUsageThatCouldNotBeReportedInTimeIsRefused(t *testing.T) {
	l := listen(t, Options{Services: []Service{{ID: "1001"}}, Passthrough: true, Journal: nothing{}, LateMargin: 95 * time.Second})
	for age, taken := range map[time.Duration]bool{
		0: true, 23*time.Hour + 50*time.Minute: true, 24*time.Hour - 105*time.Second: true,
		24*time.Hour - 85*time.Second: false, 24*time.Hour - time.Second: false, 25 * time.Hour: false, -59 * time.Minute: true, -61 * time.Minute: false,
	} {
		at := time.Now().Add(-age)
		want := 202
		if !taken {
			want = 422
		}
		for _, stamp := range []string{fmt.Sprint(at.Unix()), `"` + at.UTC().Format(time.RFC3339) + `"`, `"` + at.UTC().Format("2006-01-02T15:04:05.5-00:00") + `"`} {
			reply := l.send(t, "POST /v1/events HTTP/1.1\nContent-Type: application/json",
				`{"service_id":"1001","app_id":"a","usage":{"hits":1},"timestamp":`+stamp+`}`)
			assert.Equal(t, want, reply.StatusCode, "%v %s: %s", age, stamp, reply.body)
			if age > 0 && age < 24*time.Hour && !taken {
				assert.Contains(t, reply.body, "older than 86305 seconds")
			}
		}
		form := "service_token=t&service_id=77&transactions[0][app_id]=a&transactions[0][usage][hits]=1&transactions[0][timestamp]=" + fmt.Sprint(at.Unix())
		reply := l.send(t, "POST /transactions.xml HTTP/1.1\nContent-Type: application/x-www-form-urlencoded", form)
		assert.Equal(t, taken, reply.StatusCode == 202, "%v: %s", age, reply.body)
		if age > 0 && !taken {
			assert.Contains(t, reply.body, `code="transaction_timestamp_too_old"`)
		}
	}
}
