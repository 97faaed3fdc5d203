package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale/analytics"
)

// object is a JSON object with its fields in their order.
type object []field

func (o object) get(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

func (o object) text(name string) string {
	switch v := o.get(name).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

var errShape = errors.New("source: the answer is JSON of an unknown shape")

// mostDepth bounds how deep an answer is nested.
const mostDepth = 16

// decode reads JSON: objects become object, arrays []any, numbers json.Number.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, fmt.Errorf("source: the answer is not JSON, or a part of it is missing: %w", err)
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > mostDepth {
		return nil, errShape
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			o = append(o, field{name.(string), v})
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// unfold turns an answer of the APIs into records: a collection into its elements, the values of a usage into a record for each
// with its time, one object into one record. Credentials are left out.
func unfold(answer any) ([]record, error) {
	switch v := answer.(type) {
	case []any:
		return elements(nil, "", v), nil
	case object:
		if values, ok := v.get("values").([]any); ok {
			return unfoldValues(v, values)
		}
		return unfoldObject(v), nil
	}
	return nil, errShape
}

// unfoldObject unfolds the lists in an object; where there are several, a column says which. Without a list it is one record.
func unfoldObject(o object) (all []record) {
	lists := 0
	for _, f := range o {
		if _, ok := f.value.([]any); ok && f.name != "links" {
			lists++
		}
	}
	if lists == 0 {
		return elements(nil, "", []any{o})
	}
	for _, f := range o {
		if list, ok := f.value.([]any); ok && f.name != "links" {
			kind := ""
			if lists > 1 {
				kind = f.name
			}
			all = elements(all, kind, list)
		}
	}
	return all
}

// elements appends a record for each element of a list. An element may be wrapped: {"service":{…}}.
func elements(all []record, kind string, list []any) []record {
	for _, e := range list {
		var r record
		if kind != "" {
			r = append(r, field{"list", kind})
		}
		o, ok := e.(object)
		if !ok {
			all = append(all, append(r, field{"value", e}))
			continue
		}
		if len(o) == 1 {
			if inner, wrapped := o[0].value.(object); wrapped {
				o = inner
			}
		}
		all = append(all, flatten(r, "", o))
	}
	return all
}

// flatten appends the fields of an object; those of an object inside it get its name before theirs.
func flatten(r record, prefix string, o object) record {
	for _, f := range o {
		name := prefix + f.name
		if secretWord.MatchString(f.name) || f.name == "links" || f.name == "link" {
			continue
		}
		switch v := f.value.(type) {
		case object:
			r = flatten(r, name+"_", v)
		case []any:
			if text, ok := listText(v); ok {
				r = append(r, field{name, text})
			}
		default:
			r = append(r, field{name, v})
		}
	}
	return r
}

// listText is a list of plain values as text. Lists of objects are left out: they may hold credentials.
func listText(list []any) (text string, ok bool) {
	for i, v := range list {
		switch v.(type) {
		case object, []any:
			return "", false
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(v)
	}
	return text, true
}

// unfoldValues gives every value of a usage the time at which its hour, day or month begins. An answer whose values are not as many
// as its period has is half an answer.
func unfoldValues(o object, values []any) ([]record, error) {
	period, _ := o.get("period").(object)
	times, err := buckets(period)
	if err != nil {
		return nil, err
	}
	if len(times) != len(values) {
		return nil, fmt.Errorf("source: half an answer: %d values for a period of %d", len(values), len(times))
	}
	var same record
	for _, name := range []string{"metric", "application", "response_code"} {
		if of, ok := o.get(name).(object); ok {
			same = flatten(same, name+"_", of)
		}
	}
	same = slices.DeleteFunc(same, func(f field) bool { return f.value == nil })
	all := make([]record, len(values))
	for i, v := range values {
		if _, ok := v.(json.Number); !ok {
			return nil, fmt.Errorf("source: half an answer: value %d is not a number", i)
		}
		all[i] = append(record{{"time", times[i].Format(time.RFC3339)}, {"value", v}}, same...)
	}
	return all, nil
}

// buckets returns when each hour, day or month of a period begins, by the calendar of its zone.
func buckets(period object) (times []time.Time, err error) {
	since, err := time.Parse(time.RFC3339, period.text("since"))
	if err != nil {
		return nil, fmt.Errorf("source: period.since: %q: expected a time", period.text("since"))
	}
	until, err := time.Parse(time.RFC3339, period.text("until"))
	if err != nil {
		return nil, fmt.Errorf("source: period.until: %q: expected a time", period.text("until"))
	}
	span := analytics.Span{Granularity: analytics.Granularity(period.text("granularity")), Zone: since.Location()}
	if name := period.text("timezone"); name != "" {
		if span.Zone, err = time.LoadLocation(name); err != nil {
			return nil, fmt.Errorf("source: period.timezone: %q: unknown", name)
		}
	}
	switch span.Granularity {
	case analytics.Eternity:
		return []time.Time{since}, nil
	case analytics.Hour, analytics.SixHours, analytics.Day, analytics.Month:
	default:
		return nil, fmt.Errorf("source: period.granularity: %q: unknown", span.Granularity)
	}
	for at := since.In(span.Zone); !at.After(until); at = span.End(at) {
		if len(times) == mostRows {
			return nil, errTooManyRows
		}
		times = append(times, at)
	}
	return times, nil
}
