package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

const (
	// minCode and maxCode bound a response code: the backend counts three digits and ignores the rest
	// (recording report-log-code-bad).
	minCode, maxCode = 100, 999

	// white is what the backend strips off both ends of a metric's name.
	white = " \t\n\v\f\r\x00"

	// maxName bounds an application id, user key, metric or event id that the scanner takes, in bytes. The reference decoder
	// takes longer ones: they may have up to threescale.MaxName characters.
	maxName = threescale.MaxName

	// maxMetrics bounds the metrics of one event, zeros included. More never fit into a report, and are not decoded.
	maxMetrics = 2 * threescale.MaxParams
)

// refDecode decodes the value at i with encoding/json and returns where it ends. It either adds an event or notes its faults.
// The error is *malformed, for a body that is not JSON.
func (d *decoder) refDecode(i int) (end int, err error) {
	in := json.NewDecoder(bytes.NewReader(d.body[i:]))
	var raw json.RawMessage
	if err := in.Decode(&raw); err != nil {
		return 0, syntax(err, i, len(d.body))
	}
	f := fieldReader{faults: &d.faults, index: d.index()}
	end = i + int(in.InputOffset())
	switch {
	case raw[0] != '{':
		f.fault("", "an event must be an object, not "+kind(raw))
	case !utf8.Valid(raw):
		f.fault("", "is not valid UTF-8")
	default:
		d.decodeFields(&f, raw)
	}
	if f.found {
		d.faults.events++
	}
	return end, nil
}

// syntax returns where and why a value of the body could not be decoded.
func syntax(err error, start, length int) *malformed {
	var s *json.SyntaxError
	switch {
	case errors.As(err, &s) && !errors.Is(err, io.ErrUnexpectedEOF):
		return &malformed{start + int(s.Offset) - 1, s.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &malformed{length, "the JSON ends early"}
	}
	return &malformed{start, err.Error()}
}

// decodeFields decodes the fields of one well-formed object, and adds the event if it has no fault.
func (d *decoder) decodeFields(f *fieldReader, raw json.RawMessage) {
	first := len(d.usage)
	e := d.add()
	seen := make(map[string]bool, 8)
	entries(raw, func(name string, value json.RawMessage) (more bool) {
		if seen[name] {
			f.fault(name, "appears twice")
			return true
		}
		seen[name] = true
		d.read(f, e, name, value)
		return true
	})
	e.Usage = d.usage[first:len(d.usage):len(d.usage)]
	if e.Timestamp == 0 {
		if e.Timestamp = d.stamp; d.stamp == 0 {
			f.fault("timestamp", "is required in a message that is older than the backend accepts usage")
		}
	}
	d.check(f, e)
	if f.found {
		d.drop(first)
	}
}

var known = map[string]bool{"service_id": true, "app_id": true, "user_key": true, "usage": true,
	"timestamp": true, "response_code": true, "id": true}

// read decodes one field. A null counts as absent: serializers write it for a field that is not set.
func (d *decoder) read(f *fieldReader, e *event.Event, name string, value json.RawMessage) {
	switch {
	case !known[name]:
		f.fault(name, "is not a field of an event")
		return
	case kind(value) == "null":
		return
	}
	switch name {
	case "service_id":
		e.ServiceID = f.text(name, value)
	case "app_id":
		e.Application.ID = f.text(name, value)
	case "user_key":
		e.Application.UserKey = f.text(name, value)
	case "usage":
		d.readUsage(f, value)
	case "timestamp":
		e.Timestamp = f.timestamp(value)
	case "response_code":
		e.Code = f.code(value)
	case "id":
		if e.ID = f.text(name, value); threescale.TooLong(e.ID) {
			f.fault(name, fmt.Sprintf("must have at most %d characters", threescale.MaxName))
		}
	}
}

// readUsage appends the increments to d.usage, names stripped and zeros left out.
func (d *decoder) readUsage(f *fieldReader, raw json.RawMessage) {
	if kind(raw) != "an object" {
		f.fault("usage", "must be an object of metric names and numbers, not "+kind(raw))
		return
	}
	seen := make(map[string]bool)
	entries(raw, func(name string, value json.RawMessage) (more bool) {
		if len(seen) == maxMetrics {
			f.fault("usage", "too large for a report")
			return false
		}
		if halfPair(name, raw) {
			f.fault("usage", "a metric's name has half of a surrogate pair")
			return true
		}
		metric := strings.Trim(name, white)
		field := "usage." + metric
		switch {
		case metric == "":
			f.fault("usage", "a metric's name must not be empty")
		case seen[metric]:
			f.fault(field, "appears twice")
		default:
			if n := f.number(field, value); n > 0 {
				d.usage = append(d.usage, threescale.Increment{Metric: metric, Value: n})
			}
		}
		seen[metric] = true
		return true
	})
	f.usage = true
}

// fieldReader decodes the values of one event and notes their faults.
type fieldReader struct {
	*faults
	index int
	found bool // a fault
	usage bool // a usage has been read
}

func (f *fieldReader) fault(name, detail string) {
	f.found = true
	f.add(f.index, name, detail)
}

func (f *fieldReader) text(name string, raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		f.fault(name, "must be a string, not "+kind(raw))
		return ""
	}
	if halfPair(s, raw) {
		f.fault(name, "has half of a surrogate pair")
	}
	return s
}

// halfPair reports whether a string was decoded from one with half of a surrogate pair in it, which encoding/json replaces.
func halfPair(s string, raw json.RawMessage) bool {
	return strings.ContainsRune(s, utf8.RuneError) && bytes.Contains(bytes.ToLower(raw), []byte(`\ud`))
}

// number reads a usage value.
func (f *fieldReader) number(name string, raw json.RawMessage) uint64 {
	if kind(raw) != "a number" {
		f.fault(name, "must be a number, not "+kind(raw))
		return 0
	}
	n, err := wholeNumber(string(raw))
	switch {
	case errors.Is(err, strconv.ErrRange) || n > threescale.MaxValue:
		f.fault(name, fmt.Sprintf("must be at most %d", uint64(threescale.MaxValue)))
	case err != nil:
		f.fault(name, err.Error())
	default:
		return n
	}
	return 0
}

// timestamp decodes a timestamp: RFC 3339 text or whole Unix seconds. Fractions of a second are dropped.
func (f *fieldReader) timestamp(raw json.RawMessage) int64 {
	var t time.Time
	unix, err := strconv.ParseInt(string(raw), 10, 64)
	if kind(raw) == "a string" {
		err = t.UnmarshalText([]byte(normalDate(f.text("timestamp", raw))))
		unix = t.Unix()
	}
	unit := finerUnit(unix)
	switch {
	case err == nil && unit != "":
		f.fault("timestamp", "looks like "+unit+": send Unix seconds, or RFC 3339")
	case err != nil:
		f.fault("timestamp", "must be RFC 3339, such as 2026-11-21T19:37:05Z, or whole Unix seconds")
	}
	if unix == 0 {
		unix = -1 // 0 is "none" in an event; either is long out of the window
	}
	return unix
}

func (f *fieldReader) code(raw json.RawMessage) int {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < minCode || n > maxCode {
		f.fault("response_code", fmt.Sprintf("must be a number from %d to %d", minCode, maxCode))
		return 0
	}
	return n
}

// entries calls do for the names and values of a well-formed object, in order, until do returns false.
func entries(raw json.RawMessage, do func(name string, value json.RawMessage) (more bool)) {
	in := json.NewDecoder(bytes.NewReader(raw))
	_, _ = in.Token()
	for in.More() {
		name, _ := in.Token()
		var value json.RawMessage
		if in.Decode(&value) != nil {
			return
		}
		if !do(name.(string), value) {
			return
		}
	}
}

// kind names the type of a well-formed value.
func kind(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
