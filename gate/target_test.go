package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One path has one form, however it is written; what servers read differently is refused.
func TestTargetIsCanonical(t *testing.T) {
	for raw, path := range map[string]string{
		"/search": "/search", "//search": "/search", "/%73earch": "/search", "/a/../search": "/search", "/./search": "/search",
		"/a/%2e%2e/search": "/search", "/search/?q=1": "/search/", "/": "/", "/../../search": "/search", "/caf%C3%A9": "/café", "/a%20b": "/a b",
	} {
		got, err := newTarget(raw)
		require.NoError(t, err, raw)
		assert.Equal(t, path, got.path, raw)
	}
	for _, raw := range []string{
		"", "search", "http://host/search", "/a%2Fb", "/a%2fb", "/a%5Cb", `/a\b`, "/a%00", "/a%0a", "/a%", "/a%zz", "/a#b", "*",
	} {
		_, err := newTarget(raw)
		assert.ErrorIs(t, err, errAmbiguous, raw)
	}
}

func TestParameters(t *testing.T) {
	for query, want := range map[string]string{
		"user_key=abc": "abc", "x=1&user_key=abc": "abc", "user%5Fkey=abc": "abc", "user_key=a%20b": "a b", "user_key=abc&user_key=abc": "abc",
		"user_key=abc&user_key=other": "", "user_key": "", "my_user_key=abc": "", "user_key=%zz": "", "": "",
	} {
		got, ok := (&target{query: query}).parameter("user_key")
		assert.Equal(t, want, got, query)
		assert.Equal(t, want != "" || query == "user_key", ok, query)
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/a/../b?c=d", "/%2e%2e/x", "//", "/a%2Fb", "/\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := newTarget(raw)
		if err != nil {
			return
		}
		assert.NotContains(t, got.path, "//")
		assert.NotContains(t, got.path+"/", "/../")
		assert.Equal(t, byte('/'), got.path[0])
	})
}
