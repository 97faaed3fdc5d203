package authorize

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// timeLayout is how an answer writes a moment, always in UTC.
const timeLayout = "2006-01-02 15:04:05 -0700"

// moments are the beginnings and ends of a calendar's periods, as elements of an answer. They are
// written once a minute, and not for every answer.
type moments [quota.Periods][]byte

// momentsCache holds the moments of the calendar that was used last.
type momentsCache struct {
	last atomic.Pointer[calendarMoments]
}

type calendarMoments struct {
	calendar *quota.Calendar
	moments  moments
}

// of returns the moments of a calendar.
func (c *momentsCache) of(cal *quota.Calendar) *moments {
	last := c.last.Load()
	if last == nil || last.calendar != cal {
		last = &calendarMoments{cal, newMoments(cal)}
		c.last.Store(last)
	}
	return &last.moments
}

func newMoments(c *quota.Calendar) (m moments) {
	for p := threescale.Year; p <= threescale.Minute; p++ {
		b := append(m[p], "<period_start>"...)
		b = time.Unix(c.Start[p], 0).UTC().AppendFormat(b, timeLayout)
		b = append(b, "</period_start><period_end>"...)
		b = time.Unix(c.End[p], 0).UTC().AppendFormat(b, timeLayout)
		m[p] = append(b, "</period_end>"...)
	}
	return m
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
	if len(r.weighing.Reports) > 0 {
		dst = append(dst, "<usage_reports>"...)
		for i := range r.weighing.Reports {
			dst = appendReport(dst, &r.weighing.Reports[i], r.moments)
		}
		dst = append(dst, "</usage_reports>"...)
	}
	return append(dst, documentTail...)
}

func appendReport(dst []byte, p *quota.Report, m *moments) []byte {
	dst = append(dst, p.Metric.ReportTag()...)
	dst = append(dst, p.Period.String()...)
	if p.Current > p.Max {
		dst = append(dst, `" exceeded="true`...)
	}
	dst = append(dst, `">`...)
	dst = append(dst, m[p.Period]...)
	dst = append(dst, "<max_value>"...)
	dst = strconv.AppendInt(dst, p.Max, 10)
	dst = append(dst, "</max_value><current_value>"...)
	dst = strconv.AppendInt(dst, p.Shown, 10)
	return append(dst, "</current_value></usage_report>"...)
}
