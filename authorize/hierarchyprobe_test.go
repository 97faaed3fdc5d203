package authorize

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestLimitsFarAbove: hits over search over search_deep, and no limit on search. Usage of search_deep counts against
// the limit of hits, also below a tighter one, and not against what does not lie above.
func TestLimitsFarAbove(t *testing.T) {
	far := func(max uint64) sandbox.Limit { return sandbox.Limit{Metric: "hits", Period: "eternity", Max: max} }
	own := func(max uint64) sandbox.Limit {
		return sandbox.Limit{Metric: "search_deep", Period: "eternity", Max: max}
	}
	beside := func(max uint64) sandbox.Limit {
		return sandbox.Limit{Metric: "transfer", Period: "eternity", Max: max}
	}
	for name, c := range map[string]struct {
		limits []sandbox.Limit
		most   int // calls for one of search_deep that are granted
	}{
		"far above alone":               {[]sandbox.Limit{far(20)}, 20},
		"its own is tighter":            {[]sandbox.Limit{far(30), own(20)}, 20},
		"its own is wider":              {[]sandbox.Limit{far(20), own(30)}, 20},
		"its own is as wide":            {[]sandbox.Limit{far(20), own(20)}, 20},
		"one beside is tighter":         {[]sandbox.Limit{beside(10), far(20), own(30)}, 20},
		"one beside is as wide":         {[]sandbox.Limit{beside(20), far(20)}, 20},
		"none above":                    {[]sandbox.Limit{beside(5)}, 42},
		"nothing is left of one beside": {[]sandbox.Limit{beside(0), far(20)}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.limited("far", c.limits...)
				one := func() bool {
					return w.get("authrep", "app_id", "far", "usage[search_deep]", "1").status == http.StatusOK
				}
				granted := 0
				for range 2 { // with the second answer everything is known
					if one() {
						granted++
					}
					pass(DefaultTTL + time.Second)
					synctest.Wait()
				}
				for range 40 {
					if one() {
						granted++
					}
				}
				assert.Equal(t, c.most, granted)
				w.deliver()
			})
		})
	}
}

// TestSiblingsShareALimitFarAbove: what one child used is missing to the other, whose own limit is tighter than
// what is left above.
func TestSiblingsShareALimitFarAbove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("far", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 50}, sandbox.Limit{Metric: "search_deep", Period: "eternity", Max: 30})
		ask := func(metric string) bool {
			return w.get("authrep", "app_id", "far", "usage["+metric+"]", "1").status == http.StatusOK
		}
		granted := map[string]int{}
		for range 2 {
			for _, m := range []string{"search_deep", "other"} {
				if ask(m) {
					granted[m]++
				}
			}
			pass(DefaultTTL + time.Second)
			synctest.Wait()
		}
		for range 100 {
			if ask("other") {
				granted["other"]++
			}
			if granted["other"] >= 40 {
				break
			}
		}
		for range 100 {
			if ask("search_deep") {
				granted["search_deep"]++
			}
		}
		assert.Equal(t, 50, granted["other"]+granted["search_deep"])
	})
}
