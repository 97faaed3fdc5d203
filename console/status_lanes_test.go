package console

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLanesThatAreNamed: configured services are, and of the rest those with the oldest usage; the others are summed up by state.
func TestLanesThatAreNamed(t *testing.T) {
	var all []Lane
	for i := range 10 {
		all = append(all, Lane{ServiceID: fmt.Sprint("own", i), State: "flowing", Batches: 1, Events: 2})
	}
	for i := range 1000 {
		all = append(all, Lane{ServiceID: fmt.Sprint("s", i), PassedOn: true, State: []string{"held", "flowing"}[i%2], Batches: 1, Events: 3, OldestAge: time.Duration(i) * time.Second})
	}
	named, rest := nameLanes(all, 100)
	require.Len(t, named, 110)
	assert.Equal(t, "own0", named[0].ServiceID)
	assert.Equal(t, "s999", named[109].ServiceID)
	assert.Equal(t, []StatusOtherLanes{
		{State: "flowing", Lanes: 450, Batches: 450, Events: 1350, OldestAge: 899},
		{State: "held", Lanes: 450, Batches: 450, Events: 1350, OldestAge: 898},
	}, rest)
	named, rest = nameLanes(all, 1000)
	assert.Len(t, named, 1010)
	assert.Nil(t, rest)
}
