package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestCatalogueAtTheDoor: usage of a metric that the portal does not know is refused once the catalogue is read, and what
// it knows is taken; also after a reload.
func TestCatalogueAtTheDoor(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).set("portal.validate", true))
	unknown, known := hit("1001", "app1"), hit("1001", "app1")
	unknown.Usage, known.Usage = map[string]uint64{"nosuch": 1}, map[string]uint64{"search_deep": 1}
	refused := func() bool { return d.offer(unknown).status == http.StatusUnprocessableEntity }
	eventually(t, 20*time.Second, "the catalogue is read", refused)
	assert.Contains(t, d.offer(unknown).body, "usage.nosuch")
	d.send(known)
	mustCall(t, http.StatusOK, "POST", d.admin+"/-/reload", nil)
	assert.True(t, refused())
	d.send(known)
}
