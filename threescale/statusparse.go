package threescale

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

var errNoStatus = errors.New("threescale: parse status: not a <status> document")

// ParseStatus reads a <status>, well-formed or not: the backend does not escape the reason of a denial
// (recording reason-not-escaped). What a caller put into a reason cannot pass for another element: the
// decision is read before the reason, everything else behind its end. Judge by the HTTP status first.
func ParseStatus(body []byte) (*Status, error) {
	s := scanner{rest: string(body)}
	if !s.skipTo("<status>") {
		return nil, errNoStatus
	}
	authorized, ok := s.element("authorized")
	if !ok {
		return nil, errNoStatus
	}
	out := &Status{Authorized: strings.TrimSpace(authorized) == "true"}
	out.Reason = s.reason()
	out.Application = s.application()
	if plan, ok := s.element("plan"); ok {
		out.Plan = unescapeXML(plan)
	}
	reports, err := s.usageReports()
	if err != nil {
		return nil, err
	}
	out.UsageReports = reports
	out.AppKeys = s.appKeys()
	out.Hierarchy = s.hierarchy()
	return out, nil
}

// reason takes everything up to the last end tag, for the text may hold anything.
func (s *scanner) reason() string {
	rest := strings.TrimLeft(s.rest, " \t\r\n")
	rest, ok := strings.CutPrefix(rest, "<reason>")
	if !ok {
		return ""
	}
	end := strings.LastIndex(rest, "</reason>")
	if end < 0 {
		return ""
	}
	s.rest = rest[end+len("</reason>"):]
	return unescapeXML(rest[:end])
}

func (s *scanner) application() *OAuthApplication {
	text, ok := s.element("application")
	if !ok {
		return nil
	}
	in := scanner{rest: text}
	var a OAuthApplication
	id, _ := in.element("id")
	key, _ := in.element("key")
	url, ok := in.element("redirect_url")
	if !ok {
		url, a.RedirectIsURI = in.element("redirect_uri")
	}
	a.ID, a.Key, a.RedirectURL = unescapeXML(id), unescapeXML(key), unescapeXML(url)
	return &a
}

func (s *scanner) usageReports() ([]UsageReport, error) {
	text, ok := s.element("usage_reports")
	if !ok {
		return nil, nil
	}
	var list []UsageReport
	in := scanner{rest: text}
	for in.skipTo("<usage_report ") {
		body, ok := in.until("</usage_report>")
		if !ok {
			return nil, errors.New("threescale: parse status: usage report without an end")
		}
		u, err := parseUsageReport(body)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

func parseUsageReport(text string) (UsageReport, error) {
	tag, content := splitUsageReport(text)
	metric, _ := attribute(tag, "metric")
	name, _ := attribute(tag, "period")
	exceeded, _ := attribute(tag, "exceeded")
	period, ok := ParsePeriod(name)
	if !ok {
		return UsageReport{}, errors.New("threescale: parse status: unknown period " + strconv.Quote(name))
	}
	u := UsageReport{Metric: unescapeXML(metric), Period: period, Exceeded: exceeded == "true"}
	in := scanner{rest: content}
	u.PeriodStart = in.moment("period_start")
	u.PeriodEnd = in.moment("period_end")
	var err error
	if u.MaxValue, err = in.number("max_value"); err != nil {
		return u, err
	}
	u.CurrentValue, err = in.number("current_value")
	return u, err
}

// splitUsageReport parts the inside of the tag from the content, by the last > before the first
// element, since a metric's name may hold one unescaped.
func splitUsageReport(text string) (tag, content string) {
	for _, mark := range []string{"<period_start>", "<max_value>"} {
		if i := strings.Index(text, mark); i >= 0 {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

func (s *scanner) moment(name string) time.Time {
	text, ok := s.element(name)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func (s *scanner) number(name string) (int64, error) {
	text, ok := s.element(name)
	if !ok {
		return 0, errors.New("threescale: parse status: no " + name)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, errors.New("threescale: parse status: " + name + " is no number")
	}
	return n, nil
}

func (s *scanner) appKeys() *AppKeys {
	if !s.skipTo("<app_keys") {
		return nil
	}
	text, _ := s.until("</app_keys>")
	in := scanner{rest: text}
	tag, _ := in.until(">")
	app, _ := attribute(tag, "app")
	svc, _ := attribute(tag, "svc")
	k := &AppKeys{ApplicationID: unescapeXML(app), ServiceID: unescapeXML(svc)}
	for in.skipTo("<key") {
		tag, _ := in.until("/>")
		id, _ := attribute(tag, "id")
		k.Keys = append(k.Keys, unescapeXML(id))
	}
	return k
}

func (s *scanner) hierarchy() []MetricChildren {
	text, ok := s.element("hierarchy")
	if !ok {
		return nil
	}
	list := []MetricChildren{}
	in := scanner{rest: text}
	for in.skipTo("<metric") {
		tag, _ := in.until("/>")
		name, _ := attribute(tag, "name")
		children, _ := attribute(tag, "children")
		list = append(list, MetricChildren{unescapeXML(name), strings.Fields(unescapeXML(children))})
	}
	return list
}
