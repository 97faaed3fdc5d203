package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestLogReaderGone: the program that reads the daemon's log, such as a supervisor or a pipe to a log shipper, exits. The
// daemon goes on without a log, and stops in good order when it is asked to.
func TestLogReaderGone(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url)
	d := serve(t, s)
	d.send(hit("1001", "app1"))
	d.drained(20 * time.Second)
	d.stopReading()
	for range 3 { // each logs a line
		mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil)
	}
	d.send(hit("1001", "app1"))
	assert.EqualValues(t, 2, d.drained(20*time.Second).Events.Delivered)
	d.send(hit("1001", "app2"))
	d.stop()
	d = serve(t, s)
	assert.EqualValues(t, 3, d.drained(20*time.Second).Events.Delivered)
	assert.EqualValues(t, 3, b.usage().counters().hits())
}
