package gate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale/portal"
)

// away is a portal that answers, or does not.
type away struct {
	gone    atomic.Bool
	pattern atomic.Value // of the only rule
	asked   atomic.Int64
}

func (a *away) get(_ context.Context, id string) (*portal.ProxyConfig, error) {
	a.asked.Add(1)
	if a.gone.Load() {
		return nil, errors.New("away")
	}
	return &portal.ProxyConfig{BackendVersion: "1", Proxy: portal.Proxy{
		Hosts: []string{"s" + id + ".example.com"},
		Rules: []portal.ProxyRule{{Method: "GET", Pattern: a.pattern.Load().(string), Metric: "hits", Delta: "1"}},
	}}, nil
}

// The portal's rules are in force as they change there; the last ones stay while it is away, also after a restart. Before there are any,
// a host that no service has is no 404.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{}
		a.gone.Store(true)
		a.pattern.Store("/one")
		dir := filepath.Join(t.TempDir(), "gate")
		h := New(&Services{}, Options{Ask: func(context.Context, *authorize.Question) authorize.Answer { return yes }})
		begin := func() (end func()) {
			k := NewKeeper(KeeperOptions{
				Dir: dir, Every: time.Minute, IDs: func() []string { return h.FromPortal([]string{"1", "../2"}) }, Get: a.get, Apply: h.ApplyPortal, Log: zap.NewNop(),
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { k.Run(ctx); close(done) }()
			synctest.Wait()
			return func() { cancel(); <-done }
		}
		status := func(path string) int { return ask(h, "GET", "http://s1.example.com/gate"+path+"?user_key=k").Code }
		end := begin()
		assert.Equal(t, 503, status("/one"), "nothing is known yet")
		a.gone.Store(false)
		<-time.After(retryAfter + time.Second)
		assert.Equal(t, 200, status("/one"), "it is asked again soon")
		assert.Equal(t, 404, ask(h, "GET", "http://other.example.com/gate/one?user_key=k").Code)
		a.pattern.Store("/two")
		<-time.After(time.Minute + time.Second)
		assert.Equal(t, 404, status("/one"))
		assert.Equal(t, 200, status("/two"))
		a.gone.Store(true)
		<-time.After(time.Hour)
		assert.Equal(t, 200, status("/two"), "the portal is away")
		end()

		h = New(&Services{}, Options{Ask: func(context.Context, *authorize.Question) authorize.Answer { return yes }})
		end = begin()
		assert.Equal(t, 200, status("/two"), "the portal is away at a start")
		end()
		list, faults, err := ReadKept(dir, []string{"1", "../2", "3"})
		require.NoError(t, err)
		assert.Len(t, list, 2)
		assert.Empty(t, faults)
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, files, 2, "each in its file, in this directory")

		file, problems := parse([]byte("services: [{service: '1', hosts: [s1.example.com], credentials: {in: query, user_key: user_key}, rules: [{pattern: /file, metric: hits}]}]"))
		require.Empty(t, problems)
		h = New(file, Options{Ask: func(context.Context, *authorize.Question) authorize.Answer { return yes }})
		a.gone.Store(false)
		asked := a.asked.Load()
		end = begin()
		assert.Equal(t, 200, status("/file"), "the file comes before the portal")
		assert.Equal(t, 404, status("/two"))
		assert.EqualValues(t, asked+1, a.asked.Load(), "a service of the file is not asked for")
		end()
	})
}
