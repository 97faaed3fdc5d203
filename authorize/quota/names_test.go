package quota

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale"
)

// told is what Options.Named was called with.
type told struct{ service, userKey, id string }

// TestNameOfAFileUsedTwiceAtOnce: two goroutines that use a name of the file for the first time at the same moment both get what it
// stands for, and so does each after them; the ledger is told once.
func TestNameOfAFileUsedTwiceAtOnce(t *testing.T) {
	name := Name{Service: ServiceName{ID: "1002"}, Application: threescale.Application{UserKey: "secret"}}
	var names []told
	var tracker *Tracker
	named := func(service, userKey, id string) { names = append(names, told{service, userKey, id}) }
	tracker = New(Options{Named: named})
	tracker.names.restore([]SavedName{{tracker.applicationFingerprint(name), "app"}})
	second := false
	id, first := tracker.lookUp(name.id(), func() Fingerprint { // between the two looks of the first goroutine
		if !second {
			second = true
			assert.Equal(t, "app", tracker.Resolve(name).Application.ID)
		}
		return tracker.applicationFingerprint(name)
	})
	assert.Equal(t, "app", id)
	assert.False(t, first)
	assert.Equal(t, "app", tracker.Resolve(name).Application.ID)
	assert.Equal(t, []told{{"1002", "secret", "app"}}, names)
}

// TestNamedIsTold: a name that the backend told is passed on, once, with the backend's id of the service.
func TestNamedIsTold(t *testing.T) {
	var names []told
	tracker := New(Options{Named: func(service, userKey, id string) { names = append(names, told{service, userKey, id}) }})
	asked := Name{Service: ServiceName{Credentials: threescale.Credentials{ProviderKey: "pkey"}}, Application: threescale.Application{UserKey: "secret"}}
	for range 2 {
		tracker.LearnNames(asked, "1002", "app")
	}
	assert.Equal(t, []told{{"1002", "secret", "app"}}, names)
}
