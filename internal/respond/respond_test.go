package respond

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnswers(t *testing.T) {
	r := NewRecorder()
	assert.Equal(t, http.StatusOK, r.Status)
	JSON(r, http.StatusAccepted, map[string]int{"events": 3})
	assert.Equal(t, http.StatusAccepted, r.Status)
	assert.Equal(t, "application/json", r.Header().Get("Content-Type"))
	assert.JSONEq(t, `{"events":3}`, r.Body.String())

	r = NewRecorder()
	Problem(r, http.StatusNotFound, `there is no "x"`)
	assert.Equal(t, "application/problem+json", r.Header().Get("Content-Type"))
	assert.JSONEq(t, `{"title":"Not Found","status":404,"detail":"there is no \"x\""}`, r.Body.String())
}
