package nats_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/micro"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The subject's service gets into the body, and a body's own must be the same.
func TestQuestion(t *testing.T) {
	r := newRig(t, "")
	echo := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("Content-Type", "application/json")
		if req.URL.Path != "/v1/authorize" || string(body) == "broken" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write(body)
	})
	b, err := ingestnats.Open(ingestnats.Options{
		URL: "nats://" + r.server.Address(), Subject: "other.>", Handler: discard(),
		Questions: []ingestnats.Question{{Name: "authorize", Subject: "authorize.>", Path: "/v1/authorize", Handler: echo}},
	})
	require.NoError(t, err)
	defer r.stop(b)
	for _, c := range []struct{ body, code, want string }{
		{`{"app_id":"a"}`, "", `{"service_id":"1001","app_id":"a"}`},
		{` { } `, "", `{"service_id":"1001" } `},
		{`{"service_id":"1001"}`, "", `{"service_id":"1001"}`},
		{`broken`, "400", `broken`},
		{`[{}]`, "", `[{}]`},
	} {
		answer := r.ask("authorize.1001", "", c.body)
		assert.Equal(t, c.want, string(answer.Data))
		assert.Equal(t, c.code, answer.Header.Get(micro.ErrorCodeHeader))
	}
	assert.Equal(t, "422", r.ask("authorize.1001", "", `{"service_id":"9"}`).Header.Get(micro.ErrorCodeHeader))
}
