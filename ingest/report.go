package ingest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// maxReportParams is how many parameters a report may have, in its body and in its query each. The
// backend's own cap is threescale.MaxParams; what is above is accepted and split. It bounds what a body
// of DefaultMaxBody can make the daemon allocate.
const maxReportParams = 100_000

// codeUnavailable is the one code that is not the backend's: it never lacks room.
const codeUnavailable = "service_unavailable"

// serveReport answers POST /transactions.xml: 202 without a body once every transaction is durable.
//
// A report that the backend's worker would discard as a whole is refused at once, with the code that the backend has for it: as
// 403, or as 404 for an application or a metric. Statuses are those that clients understand: where the backend fails with 500,
// the client gets 400; a report that is too large for the daemon itself gets 413. 429 and 503 mean that the journal is full or
// failing.
func (h *Handler) serveReport(w http.ResponseWriter, r *http.Request) {
	options := threescale.ParseOptions(r.Header.Get(threescale.OptionsHeader))
	if crossSite(r) {
		h.refuseReport(w, r, &threescale.Error{Status: http.StatusForbidden, Code: threescale.CodeBadRequest, Text: "a page of another site may not report"}, options)
		return
	}
	body := h.newReportBody(w, r)
	defer body.account.Release()
	events, err := h.decodeReport(r, options.FlatUsage)
	if err != nil {
		h.refuseReport(w, r, refusalOf(err), options)
		return
	}
	if _, err := h.append(r.Context(), events); err != nil {
		answer := h.health.failed(err)
		retryAfter(w, answer.retryAfter)
		h.refuseReport(w, r, &threescale.Error{Status: answer.status, Code: codeUnavailable, Text: answer.detail}, options)
		return
	}
	h.counters.reports.took(len(events), body.bytes)
	writeEmpty(w, http.StatusAccepted)
}

// decodeReport reads a report, by the backend's checks and in its order. The error is *threescale.Error,
// *tooMany, or a failure to read the body.
func (h *Handler) decodeReport(r *http.Request, flatUsage bool) ([]event.Event, error) {
	now, services := time.Now(), h.services.Load()
	params, err := threescale.ReadParams(r, threescale.ReadOptions{MaxParams: maxReportParams, MaxBytes: h.maxBody, MaxQuery: -1, Lenient: true})
	if err != nil {
		return nil, err
	}
	credentials, serviceID, err := threescale.ReadCredentials(params, true)
	if err != nil {
		return nil, err
	}
	caller, err := services.admit(serviceID, credentials, h.passthrough, h.vouch != nil)
	if err != nil {
		return nil, err
	}
	if !params.ValidUTF8() {
		return nil, threescale.NotValidData()
	}
	transactions, err := threescale.ReadTransactions(params)
	if err != nil {
		return nil, err
	}
	if len(transactions) > h.maxEvents {
		return nil, &tooMany{h.maxEvents}
	}
	events := make([]event.Event, len(transactions))
	for i, raw := range transactions {
		events[i] = event.Event{ServiceID: caller.serviceID, Credentials: caller.credentials, FlatUsage: flatUsage}
		if events[i].Transaction, err = caller.decode(raw, now); err != nil {
			return nil, err
		}
		if late := services.tooLate(events[i].Timestamp, now.Unix()); late != nil {
			return nil, late
		}
	}
	if !caller.credentials.IsZero() && h.vouch != nil && !(h.trust && caller.service == unconfigured) {
		if refused := h.vouch(r.Context(), caller.serviceID, caller.credentials, events[0].Application); refused != nil {
			return nil, refused
		}
	}
	return events, services.admitAll(events)
}

// admitAll is the last check of a report's usage.
func (s *services) admitAll(events []event.Event) error {
	for i := range events {
		if s.excess == nil {
			return nil
		}
		if why := s.excess(&events[i]); why != "" {
			return &threescale.Error{Status: http.StatusForbidden, Code: threescale.CodeUsageValueInvalid, Text: "usage of transaction " + strconv.Itoa(i) + " " + why}
		}
	}
	return nil
}

// decode makes a transaction of the form parameters, if it fits into a report and the service has its metrics.
func (c caller) decode(raw threescale.RawTransaction, now time.Time) (threescale.Transaction, error) {
	if n := raw.Usage.Len(); n > threescale.MaxParams {
		return threescale.Transaction{}, threescale.TooManyParams(n, threescale.MaxParams)
	}
	t, err := raw.Decode(now)
	if err != nil || len(t.Usage) == 0 {
		return t, err
	}
	if metric, refused := c.service.refuses(t.Usage); refused {
		return t, threescale.MetricInvalid(metric)
	}
	params, bytes := t.FormCost(threescale.MaxTransactions)
	if params+2 > threescale.MaxParams {
		return t, threescale.TooManyParams(params+2, threescale.MaxParams)
	}
	if bytes+threescale.CredentialsRoom > threescale.MaxBody {
		return t, threescale.TooManyBytes(threescale.MaxBody)
	}
	return t, nil
}

// refusalOf is the answer to an error of decodeReport.
func refusalOf(err error) *threescale.Error {
	var refused *threescale.Error
	var many *tooMany
	switch {
	case errors.As(err, &many):
		return &threescale.Error{Status: http.StatusRequestEntityTooLarge, Code: threescale.CodeBadRequest, Text: many.Error()}
	case !errors.As(err, &refused):
		e := unreadable(err)
		code := threescale.CodeBadRequest
		if e.status == http.StatusServiceUnavailable {
			code = codeUnavailable
		}
		return &threescale.Error{Status: e.status, Code: code, Text: e.detail}
	case refused.Status == http.StatusServiceUnavailable: // of Options.Vouch
		return refused
	case refused.Status >= 500 || refused.HTML:
		return threescale.SyntaxErrors()
	case refused.Code == threescale.CodeBadRequest && strings.Contains(refused.Text, "exceeds limit"):
		tooLarge := *refused
		tooLarge.Status = http.StatusRequestEntityTooLarge
		return &tooLarge
	}
	return refused
}

// refuseReport answers with an <error>, or without a body when the caller has asked for none (3scale-options: no_body).
func (h *Handler) refuseReport(w http.ResponseWriter, r *http.Request, e *threescale.Error, options threescale.Options) {
	h.setRequestID(w, r, e.Status)
	h.counters.reports.answered(e.Status)
	if e.Status == http.StatusServiceUnavailable && w.Header()["Retry-After"] == nil {
		retryAfter(w, busyRetry)
	}
	var body []byte
	if !options.NoBody {
		body = e.AppendXML(nil)
	}
	header := w.Header()
	setError(header)
	header["Content-Type"] = xmlType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}
