package recording

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoadsEveryExchange(t *testing.T) {
	list, err := Load("../testdata/recordings")
	require.NoError(t, err)
	assert.Equal(t, 171, len(list))
	for _, r := range list {
		req, err := r.NewRequest()
		require.NoError(t, err, r.Name)
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err, r.Name)
		assert.Equal(t, string(r.Body), string(body), r.Name)
		assert.False(t, r.Recorded.IsZero(), r.Name)
		assert.GreaterOrEqual(t, r.Status, 200, r.Name)
	}
}

func TestShortenedBodiesAreMadeWhole(t *testing.T) {
	list, err := Load("../testdata/recordings")
	require.NoError(t, err)
	for name, bytes := range map[string]int{
		"report-1000": 65640, "report-4096-params": 4194, "report-body-over-4mib": 4194435, "report-gzip": 90,
	} {
		assert.Len(t, ByName(list, name).Body, bytes, name)
	}
}

func TestNoRecordings(t *testing.T) {
	_, err := Load(t.TempDir())
	assert.ErrorContains(t, err, "recording: none in")
	assert.Nil(t, ByName(nil, "x"))
}
