package replica

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// An authorization goes to the partition of the service that its handler will read, however oddly it is named:
// counted elsewhere, it would have a limit to itself there.
func TestServiceOf(t *testing.T) {
	const authorize = "/transactions/authorize.xml?service_token=t&app_id=a&"
	for target, want := range map[string]string{
		authorize + "service_id=1001":                                 "1001",
		authorize + "service_id=1001&service_id=1003":                 "1003",
		authorize + "service_id=%20":                                  "",
		authorize + "service_id[]=1001":                               "",
		authorize + "service%5Fid=1001":                               "1001",
		"/transactions/authrep.xml?provider_key=k&usage[hits]=1":      "",
		"/transactions/authrep.xml?provider_key=k&service_id=1002&x;": "1002",
	} {
		service, c, app := named(httptest.NewRequest("GET", target, nil), nil)
		assert.Equal(t, want, service, target)
		assert.Equal(t, want == "" && strings.Contains(target, "service_token"), c.IsZero(), target)
		assert.Equal(t, strings.Contains(target, "app_id"), app.ID == "a")
	}
	for body, want := range map[string]string{
		`{"service_id":"1001"}`:                     "1001",
		`{"service_id":"1001","service_id":"1003"}`: "1003",
		`{"service_id":"1001","Service_ID":"1003"}`: "1003",
		`{"service_id":"1001"} {}`:                  "",
	} {
		service, _, _ := named(httptest.NewRequest("POST", "/v1/authorize", strings.NewReader(body)), []byte(body))
		assert.Equal(t, want, service, body)
	}
}
