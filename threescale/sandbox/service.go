package sandbox

import (
	"encoding/json"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// The backend_version of a service: how its applications are named on the GET calls.
const (
	versionUserKey = "1"
	versionAppID   = "2"
	versionOAuth   = "oauth"
)

// service is one service. It is immutable: a change makes another, so that a cache may go on believing
// the old one.
type service struct {
	id        string
	version   string
	provider  string // the provider's key
	tokens    []string
	suspended bool
	filtered  bool // referrer filters required
	metrics   *hierarchy

	proxy        json.RawMessage // what its production gateway is configured with; empty: it was never promoted
	proxyVersion int
}

// plan is a name and its limits in the order of usage reports: by metric, the longest period first.
type plan struct {
	number int64 // the admin portal's id
	name   string
	limits []limit
}

// limit is the most a metric may count in a period.
type limit struct {
	metric  int
	period  threescale.Period
	maximum uint64
}

// application is one application of a service. It is immutable, as a service is.
type application struct {
	number      int64 // the admin portal's id; 0 until the directory has it
	id          string
	userKey     string
	plan        *plan
	keys        []string
	redirectURL string
	filters     []string // of referrers
	suspended   bool
	account     int64  // of those made through the admin portal
	name        string // the same; empty: title has one
}

// key returns the first key, as the OAuth endpoints show it.
func (a *application) key() string {
	if len(a.keys) == 0 {
		return ""
	}
	return a.keys[0]
}

// matches reports whether a referrer satisfies a filter: '*' stands for any characters, the rest is
// literal, and the whole value must match (recording auth-referrer-anchored).
func matches(filter, referrer string) bool {
	parts := strings.Split(filter, "*")
	last := len(parts) - 1
	if last == 0 {
		return filter == referrer
	}
	rest, ok := strings.CutPrefix(referrer, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1:last] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
