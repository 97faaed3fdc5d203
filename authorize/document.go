package authorize

import (
	"strconv"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// timeLayout is how an answer writes a moment, always in UTC.
const timeLayout = "2006-01-02 15:04:05 -0700"

// moments are the beginnings and ends of a calendar's periods, as elements of an answer. They are
// written once a minute, and not for every answer.
type moments [periods][]byte

func newMoments(c *calendar) *moments {
	var m moments
	for p := threescale.Year; p <= threescale.Minute; p++ {
		b := append(m[p], "<period_start>"...)
		b = time.Unix(c.start[p], 0).UTC().AppendFormat(b, timeLayout)
		b = append(b, "</period_start><period_end>"...)
		b = time.Unix(c.end[p], 0).UTC().AppendFormat(b, timeLayout)
		m[p] = append(b, "</period_end>"...)
	}
	return &m
}

const (
	documentHead = `<?xml version="1.0" encoding="UTF-8"?><status><authorized>`
	documentTail = `</status>`
)

// appendDocument appends the <status> of the answer, as the backend would have sent it now: for what
// most answers hold, byte by byte what threescale.Status.AppendXML writes, which writes the rest.
func (r *reply) appendDocument(dst []byte) []byte {
	if r.finding.entry == nil || r.entry.oauth != nil || r.entry.keys != nil || r.options.Hierarchy || r.plan == "" {
		return r.document().AppendXML(dst, true)
	}
	dst = append(dst, documentHead...)
	dst = strconv.AppendBool(dst, r.code == "")
	dst = append(dst, "</authorized>"...)
	if r.reason != "" {
		dst = append(dst, "<reason>"...)
		dst = threescale.AppendText(dst, r.reason)
		dst = append(dst, "</reason>"...)
	}
	dst = append(dst, "<plan>"...)
	dst = threescale.AppendText(dst, r.plan)
	dst = append(dst, "</plan>"...)
	if len(r.reports) > 0 {
		dst = append(dst, "<usage_reports>"...)
		cal := r.calendar
		for i := range r.reports {
			dst = r.reports[i].append(dst, cal.moments)
		}
		dst = append(dst, "</usage_reports>"...)
	}
	return append(dst, documentTail...)
}

func (p *report) append(dst []byte, m *moments) []byte {
	dst = append(dst, p.metric.tag...)
	dst = append(dst, p.period.String()...)
	if p.current > p.max {
		dst = append(dst, `" exceeded="true`...)
	}
	dst = append(dst, `">`...)
	dst = append(dst, m[p.period]...)
	dst = append(dst, "<max_value>"...)
	dst = strconv.AppendInt(dst, p.max, 10)
	dst = append(dst, "</max_value><current_value>"...)
	dst = strconv.AppendInt(dst, p.shown, 10)
	return append(dst, "</current_value></usage_report>"...)
}
