package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
)

// TestExportIsHarmless: a name that a producer chose to be a formula is a name in a spreadsheet, too.
func TestExportIsHarmless(t *testing.T) {
	var out bytes.Buffer
	write, finish := writer(&out, "csv")
	require.NoError(t, write(&spool.DeadLetter{ID: "1-0", ServiceID: "1001", AppID: "=HYPERLINK(1)", UserKey: "@x", Usage: map[string]uint64{"hits": 1}}))
	require.NoError(t, finish())
	assert.Contains(t, out.String(), "1-0,1001,'=HYPERLINK(1),'@x,")
	write, _ = writer(&out, "ndjson")
	require.NoError(t, write(&spool.DeadLetter{AppID: "=HYPERLINK(1)"}))
	assert.Contains(t, out.String(), `"app_id":"=HYPERLINK(1)"`)
}
