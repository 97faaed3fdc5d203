package ingest

import (
	"unicode/utf8"
	"unsafe"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// The scanner decodes an event as producers usually write it, without an allocation. It returns "not mine" for anything
// unusual (escapes, unknown or repeated fields, numbers that are not plain digits) and for every fault; the reference decoder
// then decodes the event.

// fields is the set of fields of an event that have been read.
type fields uint8

const (
	hasService fields = 1 << iota
	hasAppID
	hasUserKey
	hasUsage
	hasTimestamp
	hasCode
	hasID
)

// manyMetrics bounds the metrics of an event for the scanner, since it looks for a repeated one by comparing all pairs.
const manyMetrics = 16

// scan decodes the event whose brace opens at i into d.events and returns where it ends. It returns 0, and has changed
// nothing, when the reference decoder must decode the event.
func (d *decoder) scan(i int) (end int) {
	first := len(d.usage)
	e := d.add()
	if end = d.object(e, i); end == 0 {
		d.drop(first)
		return 0
	}
	e.Usage = d.usage[first:len(d.usage):len(d.usage)]
	if _, refused := d.last.refuses(e.Usage); refused {
		d.drop(first)
		return 0
	}
	if e.Timestamp == 0 {
		if e.Timestamp = d.stamp; d.stamp == 0 {
			d.drop(first)
			return 0
		}
	}
	if d.services.excess != nil && d.services.excess(e) != "" { // the reference decoder says why
		d.drop(first)
		return 0
	}
	return end
}

// object reads the fields of e. On success d.last is the event's service.
func (d *decoder) object(e *event.Event, i int) (end int) {
	var seen fields
	for {
		name, j := text(d.body, space(d.body, i+1))
		if j == 0 {
			return 0
		}
		if i = colon(d.body, j); i == 0 {
			return 0
		}
		field, j := d.field(e, name, i)
		if j == 0 || seen&field != 0 {
			return 0
		}
		seen |= field
		if i = space(d.body, j); i == len(d.body) {
			return 0
		}
		switch d.body[i] {
		case ',':
		case '}':
			if d.named != "" && seen&hasService == 0 && d.find(d.named) != nil {
				e.ServiceID, seen = d.last.id, seen|hasService
			}
			if seen&(hasService|hasUsage) != hasService|hasUsage || (e.Application.ID == "") == (e.Application.UserKey == "") {
				return 0
			}
			return i + 1
		default:
			return 0
		}
	}
}

// field reads the value at i into the field called name.
func (d *decoder) field(e *event.Event, name string, i int) (field fields, end int) {
	switch name {
	case "service_id":
		return hasService, d.serviceID(e, i)
	case "usage":
		return hasUsage, d.increments(i)
	case "app_id":
		field = hasAppID
	case "user_key":
		field = hasUserKey
	case "timestamp":
		field = hasTimestamp
	case "response_code":
		field = hasCode
	case "id":
		field = hasID
	default:
		return 0, 0
	}
	return field, d.optional(e, field, i)
}

// serviceID reads the id of a configured service.
func (d *decoder) serviceID(e *event.Event, i int) (end int) {
	id, end := text(d.body, i)
	if end == 0 || d.find(id) == nil || (d.named != "" && id != d.named) {
		return 0
	}
	e.ServiceID = d.last.id
	return end
}

// optional reads a field that may be null or an empty string, which both count as absent.
func (d *decoder) optional(e *event.Event, field fields, i int) (end int) {
	if i+4 <= len(d.body) && string(d.body[i:i+4]) == "null" {
		return i + 4
	}
	switch field {
	case hasAppID:
		e.Application.ID, end = label(d.body, i)
	case hasUserKey:
		e.Application.UserKey, end = label(d.body, i)
	case hasTimestamp:
		e.Timestamp, end = d.timestamp(i)
	case hasCode:
		e.Code, end = code(d.body, i)
	case hasID:
		if e.ID, end = text(d.body, i); len(e.ID) > maxName {
			return 0
		}
	}
	return end
}

// increments appends the usage at i to d.usage, without the zeros.
func (d *decoder) increments(i int) (end int) {
	b := d.body
	if i == len(b) || b[i] != '{' {
		return 0
	}
	first := len(d.usage)
	if i = space(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for range manyMetrics {
		metric, j := label(b, i)
		if j == 0 || metric == "" || bracketed(metric) || len(d.usage) > first && repeated(d.usage[first:], metric) {
			return 0
		}
		if i = colon(b, j); i == 0 {
			return 0
		}
		value, j := digits(b, i)
		if j == 0 || value > threescale.MaxValue {
			return 0
		}
		d.usage = append(d.usage, threescale.Increment{Metric: metric, Value: value})
		if i = space(b, j); i == len(b) {
			return 0
		}
		if b[i] == '}' {
			d.dropZeros(first)
			return i + 1
		}
		if b[i] != ',' {
			return 0
		}
		i = space(b, i+1)
	}
	return 0
}

// bracketed reports whether a name has a bracket, which no metric may have.
func bracketed(name string) bool {
	for i := range len(name) {
		if name[i] == '[' || name[i] == ']' {
			return true
		}
	}
	return false
}

func repeated(u threescale.Usage, metric string) bool {
	for i := range u {
		if u[i].Metric == metric {
			return true
		}
	}
	return false
}

// dropZeros removes the zeros from the usage that begins at first.
func (d *decoder) dropZeros(first int) {
	kept := first
	for _, increment := range d.usage[first:] {
		if increment.Value > 0 {
			d.usage[kept] = increment
			kept++
		}
	}
	d.usage = d.usage[:kept]
}

// plain are the bytes that need no decoding in a string: ASCII without control characters, quote and
// backslash.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// text reads the string that opens at i as a view into b, and returns where it ends; 0 when it has an
// escape, a control character or invalid UTF-8, or is no string.
func text(b []byte, i int) (s string, end int) {
	if i >= len(b) || b[i] != '"' {
		return "", 0
	}
	rest := b[i+1:]
	j := 0
	for j < len(rest) && plain[rest[j]] {
		j++
	}
	if j == len(rest) || rest[j] != '"' {
		if j = wide(rest, j); j < 0 {
			return "", 0
		}
	}
	return unsafe.String(unsafe.SliceData(rest), j), i + j + 2
}

// wide goes on with a string that is ASCII up to ascii, and returns where its quote is; -1 when it has none, or cannot be read by text.
func wide(b []byte, ascii int) int {
	j := ascii
	for j < len(b) && (plain[b[j]] || b[j] >= utf8.RuneSelf) {
		j++
	}
	if j == len(b) || b[j] != '"' || !utf8.Valid(b[ascii:j]) {
		return -1
	}
	return j
}

// label reads a string without white space or control characters at its ends, which 3scale would strip.
func label(b []byte, i int) (s string, end int) {
	s, end = text(b, i)
	if s != "" && (!solid(s[0]) || !solid(s[len(s)-1]) || len(s) > maxName) {
		return "", 0
	}
	return s, end
}

// solid reports whether c is a byte that 3scale does not strip.
func solid(c byte) bool { return c > ' ' }

// colon skips the colon after a name that ends at i, and the space around it.
func colon(b []byte, i int) int {
	if i = space(b, i); i == len(b) || b[i] != ':' {
		return 0
	}
	return space(b, i+1)
}

// digits reads the plain decimal number at i: no sign, no leading zero, no fraction, no exponent, at most
// 16 digits. The caller checks the byte after it.
func digits(b []byte, i int) (value uint64, end int) {
	j := i
	for j < len(b) && j-i <= 16 && b[j]-'0' <= 9 {
		value = value*10 + uint64(b[j]-'0')
		j++
	}
	if j == i || j-i > 16 || (b[i] == '0' && j > i+1) {
		return 0, 0
	}
	return value, j
}

// code reads the response code at i.
func code(b []byte, i int) (value, end int) {
	number, end := digits(b, i)
	if number < minCode || number > maxCode {
		return 0, 0
	}
	return int(number), end
}
