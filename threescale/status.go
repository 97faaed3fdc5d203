package threescale

import (
	"strconv"
	"time"
)

// Status is the <status> document of a 200 or a 409.
type Status struct {
	Authorized   bool
	Reason       string            // in words; on a denial only
	Application  *OAuthApplication // of the oauth calls only
	Plan         string            // name of the plan
	UsageReports []UsageReport     // one per limit of the plan; none: the plan has no limits
	AppKeys      *AppKeys          // when list_app_keys was asked for
	Hierarchy    []MetricChildren  // when hierarchy was asked for: not nil, though maybe empty
}

// OAuthApplication is what the oauth calls tell about an application, its key in clear included.
type OAuthApplication struct {
	ID  string
	Key string // the first of its keys; a secret
	// RedirectURL is written as redirect_uri if RedirectIsURI: the request had asked with that name.
	RedirectURL   string
	RedirectIsURI bool
}

// UsageReport is one limit and how much of it is used.
type UsageReport struct {
	Metric       string
	Period       Period
	PeriodStart  time.Time // zero for Eternity
	PeriodEnd    time.Time // exclusive; zero for Eternity
	MaxValue     int64
	CurrentValue int64
	Exceeded     bool // what is counted already is above the limit
}

// AppKeys lists the keys of an application, which are secrets.
type AppKeys struct {
	ApplicationID string
	ServiceID     string
	Keys          []string
}

// MetricChildren names the direct children of a metric.
type MetricChildren struct {
	Metric   string
	Children []string
}

// timeLayout is how an answer writes a moment, always in UTC.
const timeLayout = "2006-01-02 15:04:05 -0700"

// AppendXML appends the document on one line, elements in the backend's order. The real backend
// escapes neither the reason nor ids, keys and names in attributes (recording reason-not-escaped):
// escapeReason false writes it so. The daemon passes true, since clients need well-formed XML.
func (s *Status) AppendXML(dst []byte, escapeReason bool) []byte {
	w := statusWriter{dst: append(dst, xmlHead...), escape: escapeReason}
	w.raw("<status><authorized>")
	w.dst = strconv.AppendBool(w.dst, s.Authorized)
	w.raw("</authorized>")
	if s.Reason != "" {
		w.element("reason", s.Reason, escapeReason)
	}
	if s.Application != nil {
		w.application(s.Application)
	}
	w.element("plan", s.Plan, true)
	if len(s.UsageReports) > 0 {
		w.raw("<usage_reports>")
		for i := range s.UsageReports {
			w.usageReport(&s.UsageReports[i])
		}
		w.raw("</usage_reports>")
	}
	if s.AppKeys != nil {
		w.appKeys(s.AppKeys)
	}
	if s.Hierarchy != nil {
		w.hierarchy(s.Hierarchy)
	}
	w.raw("</status>")
	return w.dst
}

// statusWriter writes the parts of a <status>; escape tells whether attributes are made safe.
type statusWriter struct {
	dst    []byte
	escape bool
}

func (w *statusWriter) raw(s string) { w.dst = append(w.dst, s...) }

func (w *statusWriter) element(name, text string, escape bool) {
	w.raw("<" + name + ">")
	if escape {
		w.dst = appendXMLText(w.dst, text)
	} else {
		w.raw(text)
	}
	w.raw("</" + name + ">")
}

func (w *statusWriter) attribute(name, value string) {
	w.raw(" " + name + `="`)
	if w.escape {
		w.dst = appendXMLAttribute(w.dst, value)
	} else {
		w.raw(value)
	}
	w.raw(`"`)
}

func (w *statusWriter) application(a *OAuthApplication) {
	w.raw("<application>")
	w.element("id", a.ID, w.escape)
	w.element("key", a.Key, w.escape)
	name := "redirect_url"
	if a.RedirectIsURI {
		name = "redirect_uri"
	}
	w.element(name, a.RedirectURL, true)
	w.raw("</application>")
}

func (w *statusWriter) usageReport(u *UsageReport) {
	w.raw("<usage_report")
	w.attribute("metric", u.Metric)
	w.attribute("period", u.Period.String())
	if u.Exceeded {
		w.attribute("exceeded", "true")
	}
	w.raw(">")
	if u.Period != Eternity {
		w.moment("period_start", u.PeriodStart)
		w.moment("period_end", u.PeriodEnd)
	}
	w.number("max_value", u.MaxValue)
	w.number("current_value", u.CurrentValue)
	w.raw("</usage_report>")
}

func (w *statusWriter) moment(name string, t time.Time) {
	w.raw("<" + name + ">")
	w.dst = t.UTC().AppendFormat(w.dst, timeLayout)
	w.raw("</" + name + ">")
}

func (w *statusWriter) number(name string, n int64) {
	w.raw("<" + name + ">")
	w.dst = strconv.AppendInt(w.dst, n, 10)
	w.raw("</" + name + ">")
}

func (w *statusWriter) appKeys(k *AppKeys) {
	w.raw("<app_keys")
	w.attribute("app", k.ApplicationID)
	w.attribute("svc", k.ServiceID)
	w.raw(">")
	for _, key := range k.Keys {
		w.raw("<key")
		w.attribute("id", key)
		w.raw("/>")
	}
	w.raw("</app_keys>")
}

func (w *statusWriter) hierarchy(list []MetricChildren) {
	w.raw("<hierarchy>")
	for _, m := range list {
		children := ""
		for i, child := range m.Children {
			if i > 0 {
				children += " "
			}
			children += child
		}
		w.raw("<metric")
		w.attribute("name", m.Metric)
		w.attribute("children", children)
		w.raw("/>")
	}
	w.raw("</hierarchy>")
}
