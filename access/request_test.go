package access

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRequestID(t *testing.T) {
	id := func(header string) string {
		r := &http.Request{Header: http.Header{}}
		if header != "" {
			r.Header.Set("X-Request-ID", header)
		}
		return RequestID(r)
	}
	assert.Equal(t, "0af7651916cd43dd-8448:eb2/1", id("0af7651916cd43dd-8448:eb2/1"), "the caller's own")
	for _, bad := range []string{"", "a b", "a\nlevel=error", `a"`, "<b>", "é", strings.Repeat("a", 129)} {
		made := id(bad)
		assert.NotEqual(t, bad, made)
		assert.Len(t, made, 26)
		assert.NotEqual(t, made, id(bad), "no two are alike")
	}
}
