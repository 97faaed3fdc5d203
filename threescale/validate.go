package threescale

import (
	"strings"
	"time"
	"unicode/utf8"
)

// FieldError is one thing wrong with a native event, by the field names of the JSON schema: "app_id",
// "user_key", "usage", "usage.hits", "timestamp", "response_code".
type FieldError struct {
	Field  string
	Detail string
}

const tooLong = "must have at most 255 characters"

// CredentialsRoom is what a batch keeps free for service id and credentials, in bytes as encoded:
// configured tokens may change between sealing a batch and sending it. They take two parameters.
const CredentialsRoom = 4 << 10

// Normalize trims metric names, as the backend does, and removes what adds nothing. A metric that is
// named twice stays so, for Validate to find.
func (t *Transaction) Normalize() {
	for i := range t.Usage {
		t.Usage[i].Metric = strings.Trim(t.Usage[i].Metric, rubySpace)
	}
	t.Usage = t.Usage.withoutZeros()
}

// Validate returns everything that is wrong with t as far as it can be known without the backend: what
// its listener or worker would refuse, what it would stumble over, and what does not fit into a report
// even alone. now is the moment of acceptance. A nil result means that only an unknown application or
// metric can stop t. Nothing is allocated for a transaction that is fine.
func (t *Transaction) Validate(now time.Time) []FieldError {
	list := t.Application.validate(nil)
	list = t.Usage.validate(list)
	if t.Timestamp != 0 {
		if err, ok := checkTimestamp(t.Timestamp, now).(*Error); ok {
			list = append(list, FieldError{"timestamp", err.Text})
		}
	}
	if t.Code != 0 && (t.Code < 100 || t.Code > 999) {
		list = append(list, FieldError{"response_code", "must lie between 100 and 999"})
	}
	if params, bytes := t.FormCost(MaxTransactions); params+2 > MaxParams || bytes+CredentialsRoom > MaxBody {
		list = append(list, FieldError{"usage", "too large for a report"})
	}
	return list
}

func (a Application) validate(list []FieldError) []FieldError {
	switch {
	case a.ID == "" && a.UserKey == "":
		return append(list, FieldError{"app_id", "app_id or user_key is required"})
	case a.ID != "" && a.UserKey != "":
		return append(list, FieldError{"app_id", AuthenticationError().Text})
	case !utf8.ValidString(a.ID):
		return append(list, FieldError{"app_id", "must be valid UTF-8"})
	case !utf8.ValidString(a.UserKey):
		return append(list, FieldError{"user_key", "must be valid UTF-8"})
	case TooLong(a.ID):
		return append(list, FieldError{"app_id", tooLong})
	case TooLong(a.UserKey):
		return append(list, FieldError{"user_key", tooLong})
	}
	return list
}

func (u Usage) validate(list []FieldError) []FieldError {
	for i, inc := range u {
		if detail := inc.fault(); detail != "" {
			list = append(list, FieldError{"usage." + strings.ToValidUTF8(inc.Metric, "\uFFFD"), detail})
		}
		if i < indexFrom && u[:i].has(inc.Metric) {
			list = append(list, FieldError{"usage." + inc.Metric, "given twice"})
		}
	}
	if len(u) > indexFrom {
		list = u.repeated(list)
	}
	return list
}

// fault says what is wrong with one entry, "" if nothing is.
func (inc Increment) fault() string {
	switch {
	case inc.Metric == "":
		return "the metric has no name"
	case !utf8.ValidString(inc.Metric):
		return "must be valid UTF-8"
	case TooLong(inc.Metric):
		return tooLong
	case strings.ContainsAny(inc.Metric, "[]"):
		return "a metric's name has no brackets"
	case strings.Trim(inc.Metric, rubySpace) != inc.Metric:
		return "the metric's name has white space around it"
	case inc.Value > MaxValue:
		return "must not be above 9007199254740991"
	}
	return ""
}

func (u Usage) has(metric string) bool {
	for i := range u {
		if u[i].Metric == metric {
			return true
		}
	}
	return false
}

// repeated finds, in a long usage, the metrics from indexFrom on that were there before.
func (u Usage) repeated(list []FieldError) []FieldError {
	seen := make(map[string]bool, len(u))
	for i, inc := range u {
		if i >= indexFrom && seen[inc.Metric] {
			list = append(list, FieldError{"usage." + inc.Metric, "given twice"})
		}
		seen[inc.Metric] = true
	}
	return list
}
