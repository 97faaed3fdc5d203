package analytics

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/spreadsheet"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// encode writes JSON as the original does: "<" as it is.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // structs, slices, text and numbers: nothing that could fail
	return bytes.TrimRight(b.Bytes(), "\n")
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// send sends an answer with an ETag, or 304 to a client that has it already.
func (c *call) send(w http.ResponseWriter, r *http.Request, answer any) {
	kind, body := "application/json; charset=utf-8", []byte(nil)
	switch c.format {
	case "xml":
		kind, body = "application/xml; charset=utf-8", []byte(xmlHead+inXML(answer)+"\n")
	case "csv":
		kind, body = "text/csv; charset=utf-8", inCSV(answer)
	default:
		body = encode(answer)
	}
	sum := sha256.Sum256(body)
	tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(body) // a reader that went away is no trouble of ours
}

// matches compares weakly, as RFC 9110 (13.1.2) says.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// ruby writes a time as the original does outside of JSON.
func ruby(t time.Time) string {
	if t.Location() == time.UTC {
		return t.Format("2006-01-02 15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 -0700")
}

func element(name, text string) string {
	if text == "" {
		return "<" + name + "/>"
	}
	return "<" + name + ">" + escape(text) + "</" + name + ">"
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func (m metricShape) xml() string {
	return "<metric>" + element("id", number(m.ID)) + element("name", m.Name) + element("system_name", m.SystemName) + element("unit", m.Unit) + "</metric>"
}

// inXML writes what has an XML form.
func inXML(answer any) string {
	var b strings.Builder
	switch v := answer.(type) {
	case *usageAnswer:
		values := make([]string, len(v.Values))
		for i, n := range v.Values {
			values[i] = number(n)
		}
		fmt.Fprintf(&b, `<usage>%s<period>%s%s%s%s</period><data>%s<values length="%d">%s</values></data>`, v.Metric.xml(),
			element("since", ruby(v.span.Since)), element("until", ruby(v.span.Until)), element("name", v.span.Period),
			element("granularity", string(v.span.Granularity)), element("total", number(v.Total)), len(values), strings.Join(values, ","))
		if a := v.Application; a != nil {
			fmt.Fprintf(&b, "<application>%s%s%s<plan>%s%s</plan><account>%s%s</account></application>", element("id", number(a.ID)),
				element("name", a.Name), element("state", a.State), element("id", number(a.Plan.ID)), element("name", *a.Plan.Name),
				element("id", number(a.Account.ID)), element("name", *a.Account.Name))
		}
		b.WriteString("</usage>")
	case *topAnswer:
		fmt.Fprintf(&b, "<top_applications>%s<period>%s%s%s</period><applications>", v.Metric.xml(),
			element("name", v.Period.Name), element("since", ruby(v.since)), element("until", ruby(v.until)))
		for _, a := range v.Applications {
			fmt.Fprintf(&b, "<application>%s%s%s<account>%s%s</account><plan>%s%s</plan></application>", element("id", number(a.ID)),
				element("name", a.Name), element("value", number(a.total)), element("id", number(a.Account.ID)), element("name", *a.Account.Name),
				element("id", number(a.Plan.ID)), element("name", *a.Plan.Name))
		}
		b.WriteString("</applications></top_applications>")
	}
	return b.String()
}

// inCSV writes what has a CSV form.
func inCSV(answer any) []byte {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	switch v := answer.(type) {
	case *usageAnswer:
		_ = out.Write([]string{"Metric System Name", "Metric Name", "Date", "Value"}) // a buffer takes everything
		for i, n := range v.Values {
			_ = out.Write([]string{spreadsheet.Text(v.Metric.SystemName), spreadsheet.Text(v.Metric.Name), ruby(v.span.Buckets[i]), number(n)})
		}
	case *topAnswer:
		_ = out.Write([]string{"Application Name", "Application ID", "Plan Name", "Plan ID", "Account Name", "Account ID", "Total"})
		for _, a := range v.Applications {
			_ = out.Write([]string{spreadsheet.Text(a.Name), number(a.ID), spreadsheet.Text(*a.Plan.Name), number(a.Plan.ID), spreadsheet.Text(*a.Account.Name), number(a.Account.ID), number(a.total)})
		}
	}
	out.Flush()
	return b.Bytes()
}
