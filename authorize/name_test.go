package authorize

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// TestNamesHaveABound: what cannot be in 3scale's database is neither asked for nor remembered, and short in the answer.
func TestNamesHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		fine, long := strings.Repeat("ö", 255), strings.Repeat("ö", 256)
		for _, call := range []string{"authorize", "authrep"} {
			for _, c := range []struct {
				want  int
				code  string
				pairs []string
			}{
				{404, "application_not_found", []string{"app_id", long, "usage[hits]", "1"}},
				{403, "user_key_invalid", []string{"user_key", strings.Repeat("x", 256)}},
				{403, "user_key_invalid", []string{"user_key", long}},
				{403, "application_key_invalid", []string{"app_id", "app2", "app_key", long}},
				{403, "referrer_not_allowed", []string{"app_id", "app2", "referrer", strings.Repeat("x", 2049)}},
				{403, "service_token_invalid", []string{"app_id", "app2", "service_id", strings.Repeat("7", 256)}},
				{403, "bad_request", []string{"app_id", "app2", "x", strings.Repeat("x", 40_000)}},
			} {
				answer := w.get(call, c.pairs...)
				assert.Equal(t, c.want, answer.status, c.code)
				assert.Contains(t, answer.body, `code="`+c.code+`"`)
				assert.Less(t, len(answer.body), 1500)
			}
		}
		for field, body := range map[string]string{
			"service_id": `{"service_id":"§","app_id":"a"}`, "app_id": `{"service_id":"1001","app_id":"§"}`, "user_key": `{"service_id":"1001","user_key":"§"}`,
			"app_key": `{"service_id":"1001","app_id":"a","app_key":"§"}`, "usage.ööö": `{"service_id":"1001","app_id":"a","usage":{"§":1}}`,
		} {
			answer := w.post("/v1/authrep", strings.Replace(body, "§", long, 1))
			assert.Equal(t, http.StatusUnprocessableEntity, answer.status, field)
			assert.Contains(t, answer.body, field)
			assert.Contains(t, answer.body, "must have at most 255 characters")
			assert.Less(t, len(answer.body), 1500)
		}
		assert.Zero(t, w.backend.calls())
		assert.Empty(t, w.journal.take())
		assert.Equal(t, 404, w.get("authorize", "app_id", fine).status)
		assert.Equal(t, 1, w.backend.calls(), "255 characters are asked for")
	})
}
