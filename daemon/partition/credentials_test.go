package partition

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/threescale"
)

func service(id, token string) event.Service {
	return event.Service{ID: id, Credentials: threescale.Credentials{ServiceToken: token}}
}

func TestCredentialsThatChange(t *testing.T) {
	var c credentials
	set := func(list ...event.Service) []string {
		changed := c.set(list)
		slices.Sort(changed)
		return changed
	}
	assert.Equal(t, []string{"1", "2"}, set(service("1", "a"), service("2", "b")), "all are new")
	assert.Empty(t, set(service("2", "b"), service("1", "a")), "their order is no change")
	assert.Equal(t, []string{"1", "2", "3"}, set(service("1", "other"), service("3", "c")), "changed, removed and new")
	_, known := c.of("2")
	assert.False(t, known)
	found, known := c.of("1")
	assert.True(t, known)
	assert.Equal(t, "other", found.ServiceToken)
}

// Configured services are listed in the order of the file, also those without an event; all other services are one figure.
func TestEndedByService(t *testing.T) {
	var c credentials
	c.set([]event.Service{service("9", "a"), service("1", "b")})
	services, others := c.ended(map[string]sender.Ended{"1": {Delivered: 3, Dead: 1}, "x": {Delivered: 2}, "y": {Dead: 5}})
	assert.Equal(t, []console.Service{{ID: "9"}, {ID: "1", Ended: console.Ended{Delivered: 3, Dead: 1}}}, services)
	assert.Equal(t, console.Ended{Delivered: 2, Dead: 5}, others)
}

// A denial condemns usage only when it is younger than the backend's negative cache, with a margin.
func TestProofGrace(t *testing.T) {
	assert.Equal(t, 65*time.Second, ProofOptions{NegativeCache: time.Minute}.grace())
	assert.Equal(t, time.Second, ProofOptions{}.grace())
	assert.Equal(t, time.Second+time.Second/12, ProofOptions{NegativeCache: time.Second}.grace())
}
