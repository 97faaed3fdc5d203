package gate

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale"
)

// Options of New.
type Options struct {
	Ask      func(context.Context, *authorize.Question) authorize.Answer // decides, and makes the usage of a yes durable
	Wait     time.Duration                                               // how long an answer may wait for 3scale; then the mode decides
	IDHeader string                                                      // field in which the proxy gives each call an id, canonical; empty: none
	Log      *zap.Logger
}

// Handler answers the questions of proxies.
type Handler struct {
	options  Options
	services atomic.Pointer[Services]
	counters *counters
	said     atomic.Int64 // when a fault of the configuration was logged last, Unix seconds

	mu       sync.Mutex // guards what follows
	file     *Services
	portal   []*Service
	complete bool // portal has all of its services
}

// New returns a Handler with the services of a file.
func New(s *Services, o Options) *Handler {
	h := &Handler{options: o, counters: newCounters(), complete: true}
	h.Apply(s)
	return h
}

// Apply replaces the services of the file. Questions that are being answered keep the former ones.
func (h *Handler) Apply(s *Services) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.file = s
	h.storeLocked()
}

// ApplyPortal replaces the services of the portal; those of the file come before them. complete is false while some are not known:
// then calls of hosts that no service has are answered 503 instead of 404.
func (h *Handler) ApplyPortal(list []*Service, complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.portal, h.complete = list, complete
	h.storeLocked()
}

// FromPortal returns those of ids that the file does not describe.
func (h *Handler) FromPortal(ids []string) (asked []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if !slices.ContainsFunc(h.file.all, func(s *Service) bool { return s.ID == id }) {
			asked = append(asked, id)
		}
	}
	return asked
}

// storeLocked puts the services of both in force.
func (h *Handler) storeLocked() {
	all, faults := h.file.With(h.portal, h.complete)
	if len(faults) > 0 && h.options.Log != nil {
		h.options.Log.Warn("services have hosts in common", zap.Strings("faults", faults))
	}
	h.services.Store(all)
}

// ServeHTTP implements http.Handler: it answers one question.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	q, err := read(r, h.options.IDHeader)
	var a Reply
	if err != nil {
		a = bad("bad_question", err)
		h.counters.add(formNone, a.Status, begun)
	} else {
		a = h.Answer(r.Context(), &q)
	}
	a.write(w, q.nginx)
}

// seconds writes a duration in whole seconds, rounded up, at least one.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64(math.Ceil(d.Seconds()))), 10)
}

// nginxStatus is the status that nginx's auth_request understands: every other one is an error of the server to it.
func nginxStatus(status int) int {
	switch status {
	case http.StatusOK, http.StatusUnauthorized:
		return status
	}
	return http.StatusForbidden
}

// Answer answers a question. A yes is durable when it returns.
func (h *Handler) Answer(ctx context.Context, q *Question) Reply {
	begun := time.Now()
	a := h.decide(ctx, q)
	h.counters.add(q.Form, a.Status, begun)
	return a
}

func (h *Handler) decide(ctx context.Context, q *Question) Reply {
	t, err := newTarget(q.Target)
	if err != nil {
		return bad("bad_target", err)
	}
	services := h.services.Load()
	s := services.of(hostName(q.Host))
	if s == nil && services.missing {
		return Reply{Status: http.StatusServiceUnavailable, Text: unavailable, reason: "no_rules_yet", retry: retryUnknown, limit: noLimit}
	}
	if s == nil {
		return Reply{Status: http.StatusNotFound, Text: usual[NoMatch].Text, reason: "unknown_host", limit: noLimit}
	}
	used, matched := s.rules.usage(q.Method, &t)
	if len(matched) == 0 {
		return s.refuse(NoMatch, "", noLimit)
	}
	who, ok := s.Credentials.find(q, &t)
	if !ok {
		return s.refuse(Missing, "", noLimit)
	}
	return h.ask(ctx, s, q, who, used)
}

// ask puts a question to the authorizer.
func (h *Handler) ask(ctx context.Context, s *Service, q *Question, who shown, used threescale.Usage) Reply {
	question := authorize.Question{
		ServiceID: s.ID, Application: who.application, AppKey: who.appKey, HasAppKey: who.hasKey, Usage: used, Wait: h.options.Wait,
	}
	if q.ID != "" {
		question.EventID = "gate:" + s.ID + ":" + q.ID
		if threescale.TooLong(question.EventID) {
			question.EventID = ""
		}
	}
	got := h.options.Ask(ctx, &question)
	switch {
	case got.Unknown:
		h.log(s, got)
		return Reply{
			Status: http.StatusServiceUnavailable, Text: unavailable, reason: got.Code,
			retry: retryUnknown, limit: noLimit,
		}
	case got.Code == "":
		return Reply{Status: http.StatusOK, Text: "yes", limit: got.Limit}
	case got.Code == threescale.CodeLimitsExceeded:
		a := s.refuse(Exceeded, got.Code, got.Limit)
		if a.retry = got.Limit.Reset; a.retry < 0 {
			a.retry = 0
		}
		return a
	}
	return s.refuse(Failed, got.Code, noLimit)
}

// unavailable is the text where neither 3scale nor what is remembered says anything.
const unavailable = "authorization is not available at the moment"

// retryUnknown is when a caller may ask again that could not be answered.
const retryUnknown = 5 * time.Second

// refuse makes the answer of a service for a reason; code is 3scale's, for the proxy's log.
func (s *Service) refuse(why Reason, code string, limit authorize.Limit) Reply {
	if code == "" {
		code = string(why)
	}
	refusal := s.refusal(why)
	return Reply{Status: refusal.Status, Text: refusal.Text, kind: refusal.Type, reason: code, limit: limit}
}

// logEvery is how often the same fault is logged, in seconds.
const logEvery = 60

// log says at most once a minute that questions cannot be answered, when the configuration is why.
func (h *Handler) log(s *Service, got authorize.Answer) {
	now, before := time.Now().Unix(), h.said.Load()
	if h.options.Log == nil || now-before < logEvery || !h.said.CompareAndSwap(before, now) {
		return
	}
	h.options.Log.Warn("a proxy's question has no answer", zap.String("service", s.ID), zap.String("code", got.Code), zap.String("reason", got.Text))
}

// Try says what a file makes of one call, without asking anything.
func (s *Services) Try(method, host, rawTarget string) Trial {
	t, err := newTarget(rawTarget)
	if err != nil {
		return Trial{Why: err.Error()}
	}
	trial := Trial{Service: s.of(host), Path: t.path}
	if trial.Service == nil {
		trial.Why = "no service has this host"
		return trial
	}
	used, matched := trial.Service.rules.usage(method, &t)
	if trial.Matched = matched; len(matched) == 0 {
		trial.Why = "no rule matches"
	}
	for _, u := range used {
		trial.Usage = append(trial.Usage, u.Metric+"="+strconv.FormatUint(u.Value, 10))
	}
	return trial
}
