package gate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale"
)

const rulesText = `
services:
- service: "1001"
  hosts: [api.example.com]
  credentials: {in: query, user_key: user_key}
  rules:
  - {method: GET, pattern: "/search", metric: searches, delta: 2}
  answers:
    auth_failed: {status: 401, text: your key is not known}
- service: "1002"
  credentials: {in: authorization, app_id: app_id, app_key: app_key}
  rules:
  - {pattern: /, metric: hits}
`

func rulesOf(t *testing.T, text string) *Services {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gate.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s, err := Read(file)
	require.NoError(t, err)
	return s
}

// asked is a handler whose authorizer answers the same and notes what it was asked.
func asked(t *testing.T, a authorize.Answer) (*Handler, *authorize.Question) {
	q := &authorize.Question{}
	return New(rulesOf(t, rulesText), Options{Wait: time.Second, IDHeader: "X-Request-Id", Ask: func(_ context.Context, got *authorize.Question) authorize.Answer {
		*q = *got
		return a
	}}), q
}

func ask(h *Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var yes = authorize.Answer{Limit: authorize.Limit{Remaining: -1}}

// Each form of a question is read, and two of them are refused.
func TestQuestions(t *testing.T) {
	h, q := asked(t, yes)
	forwarded := []string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/search?user_key=k", "X-Forwarded-Host", "api.example.com:443"}
	original := []string{"X-Original-Method", "GET", "X-Original-URI", "/search?user_key=k", "X-Original-Host", "API.example.com"}
	for name, w := range map[string]func() *httptest.ResponseRecorder{
		"Caddy, Traefik": func() *httptest.ResponseRecorder { return ask(h, "GET", "/gate", forwarded...) },
		"nginx":          func() *httptest.ResponseRecorder { return ask(h, "GET", "/gate/nginx", original...) },
		"Envoy": func() *httptest.ResponseRecorder {
			return ask(h, "GET", "http://api.example.com/gate/search?user_key=k")
		},
	} {
		assert.Equal(t, 200, w().Code, name)
		assert.Equal(t, "1001", q.ServiceID, name)
		assert.Equal(t, "k", q.Application.UserKey, name)
		assert.Equal(t, threescale.Usage{{Metric: "searches", Value: 2}}, q.Usage, name)
		*q = authorize.Question{}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"none": ask(h, "GET", "/gate"), "none of nginx": ask(h, "GET", "/gate/nginx?user_key=k"),
		"two":     ask(h, "GET", "/gate", append(forwarded, original...)...),
		"twice":   ask(h, "GET", "/gate", append(forwarded, "X-Forwarded-Uri", "/search?user_key=other")...),
		"half":    ask(h, "GET", "/gate", "X-Forwarded-Uri", "/search?user_key=k"),
		"both":    ask(h, "GET", "/gate/search?user_key=k", forwarded...),
		"no gate": ask(h, "GET", "http://api.example.com/search?user_key=k"),
		"other":   ask(h, "GET", "http://api.example.com/gateway/search?user_key=k"),
		"no path": ask(h, "GET", "/gate", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/a%2Fb"),
	} {
		if name == "none of nginx" {
			assert.Equal(t, 403, w.Code, name)
			assert.Equal(t, "400", w.Header().Get("X-Gate-Status"), name)
			continue
		}
		assert.Equal(t, 400, w.Code, name)
	}
	assert.Empty(t, q.ServiceID, "nothing was asked")
	s := h.Stats()
	assert.Equal(t, map[string]map[int]uint64{"nginx": {200: 1}, "forwarded": {200: 1, 400: 1}, "original": {200: 0}, "path": {200: 1}, "grpc": {200: 0}, "none": {200: 0, 400: 8}},
		s.Answers, "the ambiguous path is one of a question that can be read")
	assert.EqualValues(t, 12, s.Times.Count)
	assert.Equal(t, map[string]int{"file": 2, "portal": 0}, s.Rules)
}

// What the caller writes into the question's own query does not matter: rules and credentials read the call's target.
func TestTheCallersQueryIsNotTheQuestion(t *testing.T) {
	h, q := asked(t, yes)
	w := ask(h, "GET", "/gate?usage[hits]=0&service_id=7&user_key=other", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/search?usage[searches]=0&user_key=k",
		"X-Forwarded-Host", "api.example.com")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, threescale.Usage{{Metric: "searches", Value: 2}}, q.Usage)
	assert.Equal(t, "k", q.Application.UserKey)
}

// Every decision has its status, in the words of the service; nginx gets the three that it reads.
func TestAnswers(t *testing.T) {
	limit := authorize.Limit{Max: 10, Remaining: 0, Reset: 90 * time.Second}
	for _, c := range []struct {
		name          string
		answer        authorize.Answer
		target        string
		status, nginx int
		text          string
	}{
		{"yes", authorize.Answer{Limit: authorize.Limit{Max: 10, Remaining: 9, Reset: time.Minute}}, "/search?user_key=k", 200, 200, "yes"},
		{"no key", yes, "/search", 401, 401, "credentials are missing"},
		{"no rule", yes, "/other?user_key=k", 404, 403, "there is no such call"},
		{"unknown", authorize.Answer{Code: threescale.CodeUserKeyInvalid, Limit: yes.Limit}, "/search?user_key=k", 401, 401, "your key is not known"},
		{"over", authorize.Answer{Code: threescale.CodeLimitsExceeded, Limit: limit}, "/search?user_key=k", 429, 403, "usage limits are exceeded"},
		{"away", authorize.Answer{Code: "backend_unavailable", Unknown: true, Limit: yes.Limit}, "/search?user_key=k", 503, 403, "authorization is not available"},
	} {
		h, _ := asked(t, c.answer)
		w := ask(h, "GET", "/gate", "X-Original-Method", "GET", "X-Original-URI", c.target, "X-Original-Host", "api.example.com")
		assert.Equal(t, c.status, w.Code, c.name)
		assert.Contains(t, w.Body.String(), c.text, c.name)
		assert.Equal(t, 1, strings.Count(w.Body.String(), "\n"), c.name)
		assert.NotContains(t, w.Body.String(), "<", c.name)
		asNginx := ask(h, "GET", "/gate/nginx", "X-Original-Method", "GET", "X-Original-URI", c.target, "X-Original-Host", "api.example.com")
		assert.Equal(t, c.nginx, asNginx.Code, c.name)
		switch c.name {
		case "yes":
			assert.Equal(t, "9", w.Header().Get("RateLimit-Remaining"))
			assert.Equal(t, "60", w.Header().Get("RateLimit-Reset"))
		case "over":
			assert.Equal(t, "90", w.Header().Get("Retry-After"))
		case "away":
			assert.Equal(t, "5", w.Header().Get("Retry-After"))
		}
	}
}

// A service without hosts answers for every host; Basic is app_id:app_key.
func TestBasicCredentials(t *testing.T) {
	h, q := asked(t, yes)
	w := ask(h, "POST", "http://other/gate/orders", "Authorization", "Basic YXBwMTprZXk6MQ==", "X-Request-Id", "r-1")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, authorize.Question{
		ServiceID: "1002", Application: threescale.Application{ID: "app1"}, AppKey: "key:1", HasAppKey: true,
		Usage: threescale.Usage{{Metric: "hits", Value: 1}}, EventID: "gate:1002:r-1", Wait: time.Second,
	}, *q)
	assert.Equal(t, 401, ask(h, "POST", "http://other/gate/orders", "Authorization", "Digest x").Code)
	assert.Equal(t, 200, ask(h, "POST", "http://other/gate/orders", "Authorization", "Bearer x").Code)
	assert.Equal(t, threescale.Application{ID: "x"}, q.Application, "as APIcast does")
}

// A file says everything that is wrong with it.
func TestFileFaults(t *testing.T) {
	for text, want := range map[string]string{
		"services: []": "services: expected 1 to",
		"services: [{service: '1', credentials: {in: body, user_key: k}, rules: [{pattern: /, metric: hits}]}]":                                                                                              "credentials.in: expected query, headers or authorization",
		"services: [{service: '1', credentials: {in: query}, rules: [{pattern: /, metric: hits}]}]":                                                                                                          "credentials: expected user_key, or app_id",
		"services: [{service: '1', credentials: {in: query, user_key: k}}]":                                                                                                                                  "rules: expected 1 to",
		"services: [{service: '1', credentials: {in: query, user_key: k}, rules: [{pattern: x, metric: hits}]}]":                                                                                             "rules[0].pattern: expected a path",
		"services: [{service: '1', credentials: {in: query, user_key: k}, rules: [{pattern: /}]}]":                                                                                                           "rules[0].metric: expected",
		"services: [{service: '1', hosts: ['a:1'], credentials: {in: query, user_key: k}, rules: [{pattern: /, metric: hits}]}]":                                                                             "hosts[0]: expected the name of a host",
		"services: [{service: '1', nosuch: 1}]":                                                                                                                                                              "nosuch",
		"services: [{service: '1', credentials: {in: query, user_key: k}, rules: [{pattern: /, metric: hits}], answers: {auth_failed: {status: 200}}}]":                                                      "answers.auth_failed.status: expected 400 to 499",
		"services: [{service: '1', credentials: {in: query, user_key: k}, rules: [{pattern: /, metric: hits}]}, {service: '2', credentials: {in: query, user_key: k}, rules: [{pattern: /, metric: hits}]}]": "services[1].hosts: expected hosts",
	} {
		_, problems := parse([]byte(text))
		assert.Contains(t, strings.Join(problems, "\n"), want, text)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.yaml"))
	assert.ErrorContains(t, err, "there is no such file")
}

var _ http.Handler = (*Handler)(nil)

// Traefik's ForwardAuth: a GET of the address with the caller's fields, over which it writes its own. What a caller writes in nginx's
// form beside them is refused.
func TestTraefiksQuestion(t *testing.T) {
	h, q := asked(t, yes)
	traefik := []string{
		"Accept", "*/*", "Accept-Encoding", "gzip", "User-Agent", "curl/8", "X-Forwarded-For", "203.0.113.7", "X-Forwarded-Host", "api.example.com",
		"X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Uri", "/search?user_key=k&usage[searches]=0",
	}
	assert.Equal(t, 200, ask(h, "GET", "http://127.0.0.1:7073/gate", traefik...).Code)
	assert.Equal(t, authorize.Question{
		ServiceID: "1001", Application: threescale.Application{UserKey: "k"}, Usage: threescale.Usage{{Metric: "searches", Value: 2}}, Wait: time.Second,
	}, *q)
	assert.Equal(t, 400, ask(h, "GET", "http://127.0.0.1:7073/gate", append(traefik, "X-Original-Method", "GET", "X-Original-Uri", "/free")...).Code)
}
