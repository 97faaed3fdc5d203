package suggest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearest(t *testing.T) {
	names := []string{"listen", "admin", "services", ""}
	for word, want := range map[string]string{"lisen": "listen", "listne": "listen", "service": "services", "portal": "", "": "", "x": "", strings.Repeat("l", 100): ""} {
		assert.Equal(t, want, Nearest(word, names), word)
	}
	assert.Equal(t, "; did you mean listen?", Hint("lisen", names))
	assert.Empty(t, Hint("portal", names))
}
