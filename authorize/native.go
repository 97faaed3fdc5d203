package authorize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// maxNative bounds the body of a native call, in bytes.
const maxNative = 64 << 10

// native answers POST /v1/authorize and /v1/authrep: the same decisions in JSON.
type native struct {
	*Authorizer
	authrep bool
}

// request is the body of a native call.
type request struct {
	ServiceID    string            `json:"service_id"`
	AppID        string            `json:"app_id"`
	UserKey      string            `json:"user_key"`
	AppKey       *string           `json:"app_key"`
	Referrer     string            `json:"referrer"`
	Usage        map[string]uint64 `json:"usage"`
	ResponseCode int               `json:"response_code"`
}

// verdict is a decision in JSON.
type verdict struct {
	Authorized bool          `json:"authorized"`
	Reason     string        `json:"reason,omitempty"`
	Message    string        `json:"message,omitempty"`
	Plan       string        `json:"plan"`
	Limits     []nativeLimit `json:"limits"`
	Source     string        `json:"source"`
	Age        float64       `json:"age_seconds"`
}

type nativeLimit struct {
	Metric   string     `json:"metric"`
	Period   string     `json:"period"`
	Max      int64      `json:"max"`
	Current  int64      `json:"current"`
	ResetsAt *time.Time `json:"resets_at,omitempty"` // not of eternity
}

// ServeHTTP implements http.Handler.
func (n native) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header()["Allow"] = []string{http.MethodPost}
		writeProblem(w, problem{Status: http.StatusMethodNotAllowed, Detail: "authorizations are asked for with POST"})
		return
	}
	r := n.buffers.Get().(*reply)
	defer n.release(r)
	r.authrep = n.authrep
	if p := n.readNative(&r.call, w, req); p != nil {
		n.counters.deny("other")
		writeProblem(w, *p)
		return
	}
	refused := n.answer(req.Context(), r)
	switch {
	case r.err != nil:
		writeProblem(w, problemOf(r.err))
	case r.code == codeUnavailable:
		writeProblem(w, unavailable(w, refused))
	default:
		writeJSON(w, http.StatusOK, "application/json", r.verdict())
	}
}

// readNative reads a native call. The configured credentials of its service are used.
func (a *Authorizer) readNative(c *call, w http.ResponseWriter, req *http.Request) *problem {
	var in request
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxNative))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err == nil && d.Decode(&struct{}{}) != io.EOF {
		err = errors.New("there is more than one value")
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes", maxNative)}
	case err != nil:
		return &problem{Status: http.StatusBadRequest, Detail: "the body is not a question: " + threescale.Shortened(err.Error())}
	}
	if fault := in.fault(); fault != "" {
		return &problem{Status: http.StatusBadRequest, Detail: fault}
	}
	if field := in.tooLong(); field != "" {
		return &problem{Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("%s: must have at most %d characters", field, threescale.MaxName)}
	}
	if threescale.TooLongReferrer(in.Referrer) {
		return &problem{Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("referrer: must have at most %d characters", threescale.MaxReferrer)}
	}
	if !access.From(req.Context()).Serves(in.ServiceID) {
		return &problem{Status: http.StatusForbidden, Detail: "service_id: is not a service that this token may ask about"}
	}
	var known bool
	if c.door, known = a.configured.Load().native(in.ServiceID); !known {
		return &problem{Status: http.StatusNotFound, Code: threescale.CodeServiceIDInvalid, Detail: "service_id: is not a configured service"}
	}
	c.application = threescale.Application{ID: in.AppID, UserKey: in.UserKey}
	if in.AppKey != nil {
		c.appKey = optional{true, strings.Trim(*in.AppKey, rubySpace)}
	}
	c.referrer, c.code = in.Referrer, in.ResponseCode
	c.asks = len(in.Usage) > 0
	for name, value := range in.Usage {
		name = strings.Trim(name, rubySpace)
		if slices.ContainsFunc(c.asked, func(a quota.Amount) bool { return a.Name == name }) {
			return &problem{Status: http.StatusBadRequest, Detail: "usage: a metric is named twice, with and without blanks"}
		}
		c.asked = append(c.asked, quota.Amount{Name: name, Value: int64(value)})
	}
	return nil
}

// tooLong names the first field that is longer than 3scale's names can be, empty for none.
func (in *request) tooLong() string {
	for _, f := range []struct{ field, text string }{{"service_id", in.ServiceID}, {"app_id", in.AppID}, {"user_key", in.UserKey}} {
		if threescale.TooLong(f.text) {
			return f.field
		}
	}
	if in.AppKey != nil && threescale.TooLong(*in.AppKey) {
		return "app_key"
	}
	for name := range in.Usage {
		if threescale.TooLong(name) {
			return "usage." + threescale.Shortened(name)
		}
	}
	return ""
}

// fault says what is wrong with a question, as far as that can be known without the backend.
func (in *request) fault() string {
	switch {
	case in.ServiceID == "":
		return "service_id: is required"
	case in.AppID == "" && in.UserKey == "":
		return "app_id: app_id or user_key is required"
	case in.AppID != "" && in.UserKey != "":
		return "app_id: " + threescale.AuthenticationError().Text
	case in.ResponseCode != 0 && (in.ResponseCode < 100 || in.ResponseCode > 999):
		return "response_code: must lie between 100 and 999"
	}
	for name, value := range in.Usage {
		if value > threescale.MaxValue {
			return fmt.Sprintf("usage.%s: must not be above %d", threescale.Shortened(name), uint64(threescale.MaxValue))
		}
		if !utf8.ValidString(name) || name == "" {
			return "usage: a metric's name is not valid"
		}
	}
	return ""
}

// verdict is the decision in r.
func (r *reply) verdict() verdict {
	v := verdict{
		Authorized: r.code == "", Reason: r.code, Message: r.reason, Plan: r.plan,
		Limits: make([]nativeLimit, 0, len(r.weighing.Reports)), Source: r.source.String(),
	}
	for i := range r.weighing.Reports {
		p := &r.weighing.Reports[i]
		l := nativeLimit{Metric: p.Metric.Name(), Period: p.Period.String(), Max: p.Max, Current: p.Shown}
		if p.Period != threescale.Eternity {
			end := time.Unix(p.End, 0).UTC()
			l.ResetsAt = &end
		}
		v.Limits = append(v.Limits, l)
	}
	if r.entry != nil {
		v.Age = math.Round(r.entry.age(r.now).Seconds()*1000) / 1000
	}
	return v
}

// problem is an answer of application/problem+json, RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"` // the backend's
	Detail string `json:"detail"`
}

// problemOf makes a problem of what is no decision: 404 for what does not exist, 503 where the daemon's
// own credentials are refused, 400 for the rest. Tokens and keys are not repeated.
func problemOf(e *threescale.Error) problem {
	p := problem{Status: http.StatusBadRequest, Code: e.Code, Detail: threescale.Redact(e.Code, e.Text)}
	switch e.Code {
	case threescale.CodeApplicationNotFound, threescale.CodeUserKeyInvalid, threescale.CodeMetricInvalid:
		p.Status = http.StatusNotFound
	case threescale.CodeServiceTokenInvalid, threescale.CodeProviderKeyInvalid, threescale.CodeServiceIDInvalid,
		threescale.CodeProviderKeyInvalidOrServiceMissing:
		p.Status = http.StatusServiceUnavailable
	}
	return p
}

// unavailable is that there is no decision: nothing is known, or the usage of a yes cannot be kept.
func unavailable(w http.ResponseWriter, refused *event.Refused) problem {
	p := problem{Status: http.StatusServiceUnavailable, Code: codeUnavailable, Detail: reasonUnavailable}
	wait := breakBase
	if refused != nil {
		p.Detail, wait = reasonJournal, refused.RetryAfter
		if refused.Full {
			p.Status = http.StatusTooManyRequests
		}
	}
	w.Header()["Retry-After"] = []string{strconv.FormatInt(max(1, int64(math.Ceil(wait.Seconds()))), 10)}
	return p
}

func writeProblem(w http.ResponseWriter, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("authorize: marshal answer: " + err.Error()) // strings and numbers only
	}
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["X-Content-Type-Options"] = nosniff
	h["Content-Length"] = []string{strconv.Itoa(len(body) + 1)}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
