package threescale

import (
	"strings"
	"time"
)

// Decode makes a Transaction of what was sent, with the checks of the backend's worker for a single
// transaction, in its order: application, usage (of each entry the value before the name), timestamp.
// What needs the backend's data (does the application exist, does the metric) is not checked. now is
// the moment of acceptance; it stands in for a timestamp that is missing or unreadable, which the
// backend would replace by the time of processing (recording report-ts-garbage).
//
// Refused beyond the backend, because it would stumble over them in the middle of a batch or because
// they cannot be aggregated: values above MaxValue, # values, names with brackets, an application that
// is not a text (recordings report-huge-int, report-set-5, report-appid-nested).
//
// A transaction that the listener drops (see Dropped) decodes to one without usage, also when something is wrong
// with its application, which is then empty. The error is an *Error.
func (t RawTransaction) Decode(now time.Time) (Transaction, error) {
	app, err := t.application()
	if t.Dropped() {
		return Transaction{Application: app, Timestamp: now.Unix()}, nil
	}
	if err != nil {
		return Transaction{}, err
	}
	usage, err := t.usage()
	if err != nil {
		return Transaction{}, err
	}
	out := Transaction{Application: app, Usage: usage, Timestamp: now.Unix(), Code: responseCode(t.Code)}
	if t.Usage.Len() == 0 {
		return out, nil
	}
	if at, ok := ParseTimestamp(t.Timestamp.Text()); ok {
		out.Timestamp = at
	}
	return out, checkTimestamp(out.Timestamp, now)
}

// application applies the backend's rule: both keys present is an error also when one is empty.
func (t RawTransaction) application() (Application, error) {
	id, key := t.AppID, t.UserKey
	switch {
	case present(id) && present(key):
		return Application{}, AuthenticationError()
	case id.Kind() == String && (id.Text() == "" || TooLong(id.Text())):
		return Application{}, ApplicationNotFound(id.Text())
	case id.Kind() == String:
		return Application{ID: id.Text()}, nil
	case key.Kind() == String && (key.Text() == "" || TooLong(key.Text())):
		return Application{}, UserKeyInvalid(key.Text())
	case key.Kind() == String:
		return Application{UserKey: key.Text()}, nil
	}
	return Application{}, ApplicationIDMissing()
}

func present(v Value) bool { return v.Kind() != Absent && v.Kind() != Nil }

func (t RawTransaction) usage() (Usage, error) {
	if t.Usage.Len() == 0 {
		return nil, nil
	}
	if t.Usage.Kind() == Array {
		_, metric := t.Usage.Entry(0)
		return nil, UsageValueEmpty(metric.Text())
	}
	usage := make(Usage, 0, t.Usage.Len())
	names := trimmedNames{}
	for i := range t.Usage.Len() {
		name, v := t.Usage.Entry(i)
		if v.Kind() == String && v.Text() == "0" {
			continue
		}
		metric := strings.Trim(name, rubySpace)
		value, err := increment(metric, v)
		if err != nil {
			return nil, err
		}
		if !isMetric(metric) {
			return nil, MetricInvalid(metric)
		}
		if at := names.find(usage, name, metric); at >= 0 {
			usage[at].Value = value
			continue
		}
		usage = append(usage, Increment{metric, value})
	}
	return usage.withoutZeros(), nil
}

// trimmedNames finds metrics that are named twice in one hash. Its keys are unique as sent, so that can
// only be once a name had white space around it; until then there is nothing to remember.
type trimmedNames struct{ positions map[string]int }

// find returns the position in usage that sent, trimmed to metric, overwrites; -1 if none.
func (n *trimmedNames) find(usage Usage, sent, metric string) int {
	if n.positions == nil {
		if sent == metric {
			return -1
		}
		n.positions = make(map[string]int, cap(usage))
		for i := range usage {
			n.positions[usage[i].Metric] = i
		}
	}
	if at, ok := n.positions[metric]; ok {
		return at
	}
	n.positions[metric] = len(usage)
	return -1
}

func increment(metric string, v Value) (uint64, error) {
	if strings.Trim(v.Text(), rubySpace) == "" {
		return 0, UsageValueEmpty(metric)
	}
	value, set, ok := ParseUsageValue(v.Text())
	if !ok || set || value > MaxValue {
		return 0, UsageValueInvalid(metric, v.Text())
	}
	return value, nil
}

// isMetric reports whether a name can be written into usage[…] so that it comes out the same: brackets
// end a name early, on some versions of the backend's parser even the opening one.
func isMetric(name string) bool {
	return name != "" && !strings.ContainsAny(name, "[]") && !TooLong(name)
}

// responseCode returns what the backend takes for a code: exactly three digits, not below 100
// (recording report-log-code-bad). Everything else is ignored, as there.
func responseCode(v Value) int {
	s := v.Text()
	if len(s) != 3 {
		return 0
	}
	code := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		code = code*10 + int(s[i]-'0')
	}
	if code < 100 {
		return 0
	}
	return code
}

// checkTimestamp is the worker's window, inclusive, in whole seconds of the clock (recordings
// report-deadline-24h-minus-2s, report-old-25h, report-future-30m).
func checkTimestamp(at int64, now time.Time) error {
	switch clock := now.Unix(); {
	case at < clock-int64(MaxPast/time.Second):
		return TimestampTooOld()
	case at > clock+int64(MaxFuture/time.Second):
		return TimestampTooNew()
	}
	return nil
}
