package threescale

import "strings"

// Options are the extensions a caller asks for in the header 3scale-options.
type Options struct {
	NoBody                bool // answer without a body
	RejectionReasonHeader bool // a denial's code in the header 3scale-rejection-reason
	LimitHeaders          bool // 3scale-limit-remaining, -reset, -max-value
	FlatUsage             bool // usage as given, nothing to the ancestors
	ListAppKeys           bool // <app_keys> in the answer
	Hierarchy             bool // <hierarchy> in the answer
}

// OptionsHeader is the name of the header that carries Options.
const OptionsHeader = "3scale-options"

// ParseOptions reads the header's value, which is written like a query string. Only exactly 1 switches
// an option on, except no_body, which anything but 0 and false does (recording
// auth-no-body-empty-value). A value that cannot be read asks for nothing.
func ParseOptions(header string) Options {
	p := newParamReader(false)
	if header == "" || countParams(header) > MaxParams || p.readAll(header) != nil {
		return Options{}
	}
	params := Value{p.root}
	one := func(name string) bool { return params.Get(name).Text() == "1" }
	return Options{
		NoBody:                ParseNoBody(params.Get("no_body")),
		RejectionReasonHeader: one("rejection_reason_header"),
		LimitHeaders:          one("limit_headers"),
		FlatUsage:             one("flat_usage"),
		ListAppKeys:           one("list_app_keys"),
		Hierarchy:             one("hierarchy"),
	}
}

// ParseNoBody reads no_body, which may also be a query parameter of a GET call (recording
// auth-no-body-param).
func ParseNoBody(v Value) bool {
	return v.Kind() != Absent && v.Kind() != Nil && v.Text() != "0" && v.Text() != "false"
}

// String returns the header's value, "" when nothing is asked for.
func (o Options) String() string {
	var on []string
	for _, option := range []struct {
		name string
		on   bool
	}{
		{"no_body", o.NoBody}, {"rejection_reason_header", o.RejectionReasonHeader},
		{"limit_headers", o.LimitHeaders}, {"flat_usage", o.FlatUsage},
		{"list_app_keys", o.ListAppKeys}, {"hierarchy", o.Hierarchy},
	} {
		if option.on {
			on = append(on, option.name+"=1")
		}
	}
	return strings.Join(on, "&")
}
