package authorize

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

func (w *world) vouch(service string, c threescale.Credentials) *threescale.Error {
	return w.Vouch(w.t.Context(), service, c, threescale.Application{ID: "app2"})
}

// TestVouch: credentials are asked about once at their first use, in the backend's words when it refuses them, and again when
// the refusal is older than deny_ttl.
func TestVouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, passing)
		wrong, right := threescale.Credentials{ServiceToken: "wrong"}, threescale.Credentials{ServiceToken: "stoken1001"}
		w.backend.set(false, 100*time.Millisecond)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				refused := w.vouch("1001", wrong)
				require.NotNil(t, refused)
				assert.Equal(t, *threescale.ServiceTokenInvalid("wrong", "1001"), *refused)
				assert.Equal(t, http.StatusForbidden, refused.Status)
				assert.Nil(t, w.vouch("1001", right))
			})
		}
		all.Wait()
		assert.Equal(t, 2, w.backend.calls(), "one question for each pair")
		assert.NotNil(t, w.vouch("1002", right), "a token opens its own service")
		pass(DefaultDenyTTL)
		assert.NotNil(t, w.vouch("1001", wrong))
		assert.Equal(t, 4, w.backend.calls())
		assert.Nil(t, w.vouch("1001", right))
		assert.Equal(t, 4, w.backend.calls())

		w.Refused("1001", right, http.StatusForbidden, threescale.CodeServiceTokenInvalid) // a report was refused
		assert.NotNil(t, w.vouch("1001", right))
		pass(DefaultDenyTTL)
		assert.Nil(t, w.vouch("1001", right), "it was corrected")
		refused := w.vouch("", threescale.Credentials{ProviderKey: "nokey"})
		require.NotNil(t, refused)
		assert.Contains(t, refused.Text, "nokey")
	})
}

// TestVouchWithoutBackend: credentials that cannot be asked about are accepted, after two seconds at most for the first few.
func TestVouchWithoutBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, passing)
		w.backend.set(false, time.Hour)
		for i := range 20 {
			begun := time.Now()
			assert.Nil(t, w.vouch("1001", threescale.Credentials{ServiceToken: string(rune('a' + i))}))
			most := DefaultTimeout
			if i >= hangAfter {
				most = 0
			}
			assert.LessOrEqual(t, time.Since(begun), most)
		}
		assert.Equal(t, hangAfter, w.backend.calls())
		refused := 0
		for i := range 3 * maxUnchecked {
			if e := w.vouch("1001", threescale.Credentials{ServiceToken: fmt.Sprint("other", i%(2*maxUnchecked))}); e != nil {
				assert.Equal(t, http.StatusServiceUnavailable, e.Status)
				refused++
			}
		}
		assert.Equal(t, maxUnchecked+2*20, refused, "so many different ones are taken, each again and again")
		w.backend.set(false, 0)
		pass(breakMax)
		assert.NotNil(t, w.vouch("1001", threescale.Credentials{ServiceToken: "a"}), "it can be asked again")
	})
}
