package proof

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestNaming: a name that the backend's worker may have seen before its proof waits; one that it has certainly not seen does not.
func TestNaming(t *testing.T) {
	for _, test := range []struct {
		name   string
		landed []bool // by report, in the order of their ends
		want   State
	}{
		{"under way", nil, Waiting},
		{"refused", []bool{false}, Proven},
		{"failed, but it had landed", []bool{true}, Waiting},
		{"one of two may have landed", []bool{true, false}, Waiting},
		{"the later one may have landed", []bool{false, true}, Waiting},
		{"neither landed", []bool{false, false}, Proven},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{})
				var ended []func(bool)
				for range max(1, len(test.landed)) {
					ended = append(ended, p.Name(scope, hits("a"), time.Now()))
				}
				for i, landed := range test.landed {
					ended[i](landed)
				}
				p.Prove(scope, app("a"), []string{"hits"}, time.Now())
				assert.Equal(t, test.want, p.Lookup(scope, time.Now(), time.Now()).Assess(hits("a")).State)
			})
		})
	}
}
