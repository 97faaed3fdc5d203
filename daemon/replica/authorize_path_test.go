package replica

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The fast path reads the service of a call as the handler does, or leaves the call to it.
func TestPlainService(t *testing.T) {
	for query, want := range map[string]string{
		"service_token=t&service_id=1001&app_id=a": "1001",
		"service_id=foo-1001&provider_key=k":       "foo-1001",
		"service_id=&app_id=a":                     "",
	} {
		service, ok := plainService(query)
		assert.True(t, ok, query)
		assert.Equal(t, want, service, query)
	}
	for _, query := range []string{
		"", "app_id=a", "service_id=1001&service_id=1003", "service_id=%31", "service_id=1+1", "service%5Fid=1001", "service_id[]=1001",
	} {
		_, ok := plainService(query)
		assert.False(t, ok, query)
	}
}
