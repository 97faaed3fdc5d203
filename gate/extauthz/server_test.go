package extauthz

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/gate"
	"github.com/reporterd/reporterd/threescale"
)

const rules = `
services:
- service: "1001"
  hosts: [api.example.com]
  credentials: {in: headers, user_key: user-key}
  rules:
  - {method: GET, pattern: /search, metric: searches, delta: 2}
  answers:
    auth_failed: {status: 402, text: '{"error":"pay"}', type: application/json}
    auth_missing: {status: 499, text: what is no status of Envoy's}
`

// serve returns a client of a gate that answers the same to every question, and the last question.
func serve(t *testing.T, answer *authorize.Answer) (authv3.AuthorizationClient, *authorize.Question) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gate.yaml")
	require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
	services, err := gate.Read(file)
	require.NoError(t, err)
	q := &authorize.Question{}
	h := New(gate.New(services, gate.Options{Ask: func(_ context.Context, got *authorize.Question) authorize.Answer {
		*q = *got
		return *answer
	}}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return authv3.NewAuthorizationClient(conn), q
}

// check is what Envoy sends about a call.
func check(method, path, id string, header map[string]string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
		Id: id, Method: method, Path: path, Host: "API.example.com:443", Headers: header,
	}}}}
}

func TestCheck(t *testing.T) {
	answer := &authorize.Answer{Limit: authorize.Limit{Max: 10, Remaining: 9, Reset: time.Minute}}
	client, q := serve(t, answer)
	got, err := client.Check(t.Context(), check("GET", "//search?q=tea", "4711", map[string]string{
		":path": "/other", "user-key": "k", "x-original-uri": "/free", "x-forwarded-uri": "/free", "x-request-id": "the caller's",
	}))
	require.NoError(t, err)
	assert.Equal(t, int32(codes.OK), got.GetStatus().GetCode())
	assert.Equal(t, authorize.Question{
		ServiceID: "1001", Application: threescale.Application{UserKey: "k"}, Usage: threescale.Usage{{Metric: "searches", Value: 2}}, EventID: "gate:1001:envoy:4711",
	}, *q, "nothing that the caller writes is the question, and the id is Envoy's")
	fields := map[string]string{}
	for _, f := range got.GetOkResponse().GetResponseHeadersToAdd() {
		fields[f.GetHeader().GetKey()] = f.GetHeader().GetValue()
	}
	assert.Equal(t, "9", fields["ratelimit-remaining"])

	raw := check("GET", "/search", "", nil)
	raw.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "user-key", RawValue: []byte("raw")}}}
	_, err = client.Check(t.Context(), raw)
	require.NoError(t, err)
	assert.Equal(t, "raw", q.Application.UserKey, "encode_raw_headers")
	assert.Empty(t, q.EventID)
}

func TestDenials(t *testing.T) {
	answer := &authorize.Answer{}
	client, _ := serve(t, answer)
	key := map[string]string{"user-key": "k"}
	for _, c := range []struct {
		name         string
		answer       authorize.Answer
		request      *authv3.CheckRequest
		code         codes.Code
		status       int
		field, value string
	}{
		{"over", authorize.Answer{Code: threescale.CodeLimitsExceeded, Limit: authorize.Limit{Max: 1, Reset: time.Minute}}, check("GET", "/search", "", key), codes.ResourceExhausted, 429, "retry-after", "60"},
		{"away", authorize.Answer{Unknown: true, Code: "x"}, check("GET", "/search", "", key), codes.Unavailable, 503, "retry-after", "5"},
		{"no rule", authorize.Answer{}, check("GET", "/other", "", key), codes.NotFound, 404, "", ""},
		{"unknown", authorize.Answer{Code: threescale.CodeUserKeyInvalid}, check("GET", "/search", "", key), codes.PermissionDenied, 402, "content-type", "application/json"},
		{"no key", authorize.Answer{}, check("GET", "/search", "", nil), codes.PermissionDenied, 403, "", ""},
		{"ambiguous", authorize.Answer{}, check("GET", "/a%2Fsearch", "", key), codes.InvalidArgument, 400, "", ""},
		{"nothing", authorize.Answer{}, &authv3.CheckRequest{}, codes.InvalidArgument, 400, "", ""},
	} {
		*answer = c.answer
		got, err := client.Check(t.Context(), c.request)
		require.NoError(t, err, c.name)
		assert.Equal(t, int32(c.code), got.GetStatus().GetCode(), c.name)
		denied := got.GetDeniedResponse()
		assert.EqualValues(t, c.status, denied.GetStatus().GetCode(), c.name)
		assert.NotEmpty(t, denied.GetBody(), c.name)
		fields := map[string]string{}
		for _, f := range denied.GetHeaders() {
			fields[f.GetHeader().GetKey()] = f.GetHeader().GetValue()
		}
		assert.Equal(t, c.value, fields[c.field], c.name)
	}
}
