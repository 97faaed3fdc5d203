package quota

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestApplicationLayout: Prefetch reads something of each pair of cache lines that an application takes, and a size of memory that
// begins with a line is chosen for it.
func TestApplicationLayout(t *testing.T) {
	const pair = 128
	application := reflect.TypeFor[Application]()
	offset := func(name string) uintptr {
		f, ok := application.FieldByName(name)
		assert.True(t, ok, name)
		return f.Offset
	}
	low, _ := reflect.TypeFor[ID]().FieldByName("low")
	assert.EqualValues(t, 3*pair, application.Size())
	assert.EqualValues(t, 0, offset("service")/pair)
	assert.EqualValues(t, 1, offset("references")/pair)
	assert.EqualValues(t, 2, (offset("part")+low.Offset)/pair)
	for _, name := range []string{"limitSpace", "mu", "plan", "usages", "limits"} {
		assert.Less(t, offset(name), uintptr(3*pair-48), name)
	}
}
