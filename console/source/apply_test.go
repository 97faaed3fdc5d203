package source

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestAnswerDuringAReload: a source that is saved on the page is read from the file again seconds later, while its first question may be
// under way. The answer counts: 3scale is asked once.
func TestAnswerDuringAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		side := &Side{Get: func(context.Context, string, url.Values) (json.RawMessage, error) {
			calls++
			<-time.After(10 * time.Second)
			return json.RawMessage(`{"services":[]}`), nil
		}}
		s := New(Options{Sides: func() Sides { return Sides{ThreeScale: side} }})
		list := func() []*Source {
			return []*Source{sourceOf(t, "name: services", "from: 3scale", "question: services", "refresh: 5m", tokenOfSecret)}
		}
		s.Apply(list())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }() // until cancel
		<-time.After(2 * time.Second)
		s.Apply(list())
		<-time.After(time.Minute)
		assert.Equal(t, 1, calls)
		assert.Equal(t, http.StatusOK, ask(s, "/sources/services.json?access_token=secret").Code)
		cancel()
		<-ended
	})
}
