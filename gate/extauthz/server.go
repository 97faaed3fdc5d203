// Package extauthz answers Envoy's external authorization by gRPC, envoy.service.auth.v3.Authorization/Check: it makes a question of
// the gate of each check, and a check's answer of the gate's.
package extauthz

import (
	"context"
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/reporterd/reporterd/gate"
)

// maxCheck bounds a check, in bytes. Envoy sends no body unless it is told to.
const maxCheck = 1 << 20

// New returns a handler of HTTP/2 requests of gRPC that h answers; it passes all other requests on to h. It is safe for concurrent
// use and starts no goroutine.
func New(h *gate.Handler) http.Handler {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxCheck))
	authv3.RegisterAuthorizationServer(server, &authorization{gate: h})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			server.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// authorization implements the service.
type authorization struct {
	authv3.UnimplementedAuthorizationServer
	gate *gate.Handler
}

// Check answers one check. It returns no error: what is no question is denied with 400.
func (a *authorization) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	q := question(r.GetAttributes().GetRequest().GetHttp())
	answer := a.gate.Answer(ctx, &q)
	fields := headers(answer.Header())
	if answer.Status == http.StatusOK {
		return &authv3.CheckResponse{
			Status:       &status.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{ResponseHeadersToAdd: fields}},
		}, nil
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(code(answer.Status)), Message: answer.Text},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: httpStatus(answer.Status)}, Headers: fields, Body: answer.Text + "\n",
		}},
	}, nil
}

// question is the call that a check is about: its method, target and host are Envoy's own, and so is its id.
func question(r *authv3.AttributeContext_HttpRequest) gate.Question {
	header := make(http.Header, len(r.GetHeaders()))
	for name, value := range r.GetHeaders() {
		header.Add(name, value)
	}
	for _, h := range r.GetHeaderMap().GetHeaders() { // encode_raw_headers: instead of the former
		value := h.GetValue()
		if raw := h.GetRawValue(); len(raw) > 0 {
			value = string(raw)
		}
		header.Add(h.GetKey(), value)
	}
	id := r.GetId()
	if id != "" {
		id = "envoy:" + id // from another space than the ids of header fields
	}
	return gate.Question{Method: r.GetMethod(), Target: r.GetPath(), Host: r.GetHost(), Header: header, ID: id, Form: gate.FormGRPC}
}

// headers are the fields of an answer that Envoy gives its caller.
func headers(of http.Header) (fields []*corev3.HeaderValueOption) {
	for name, values := range of {
		if name == "X-Gate-Reason" || len(values) == 0 { // for logs of proxies
			continue
		}
		fields = append(fields, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: strings.ToLower(name), Value: values[0]}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return fields
}

// httpStatus is a status as Envoy names it; what it does not know is 403.
func httpStatus(n int) typev3.StatusCode {
	if _, known := typev3.StatusCode_name[int32(n)]; known {
		return typev3.StatusCode(n)
	}
	return typev3.StatusCode_Forbidden
}

// code is the status of the check, for Envoy's own figures; every one but OK denies.
func code(n int) codes.Code {
	switch n {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	}
	return codes.PermissionDenied
}
