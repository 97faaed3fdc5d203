package authorize

import (
	"strings"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// readFastPath reads the query string of a GET call as most clients write it: known names, each once, nothing
// escaped but brackets. It reports false, and leaves c as it was but for its amounts, for everything
// else, which read reads in full; a fuzz test holds the two against each other.
func (c *call) readFastPath(query string) (credentials threescale.Credentials, serviceID string, ok bool) {
	var app threescale.Application
	var key optional
	var referrer string
	code, asks := 0, false
	asked := c.asked[:0]
	seen := 0
	once := func(bit int) bool {
		first := seen&bit == 0
		seen |= bit
		return first
	}
	if len(query) > threescale.MaxQuery {
		return credentials, "", false
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, found := strings.Cut(pair, "=")
		if !found || value == "" || !plain(value) || len(value) > threescale.MaxName {
			return credentials, "", false
		}
		var fits bool
		switch name {
		case "service_token":
			credentials.ServiceToken, fits = value, once(1)
		case "provider_key":
			credentials.ProviderKey, fits = value, once(2)
		case "service_id":
			serviceID, fits = value, once(4)
		case "app_id":
			app.ID, fits = value, once(8)
		case "user_key":
			app.UserKey, fits = value, once(16)
		case "app_key":
			key, fits = optional{true, value}, once(32)
		case "referrer":
			referrer, fits = value, once(64)
		case "log[code]", "log%5Bcode%5D":
			code, fits = responseCode(value), once(128)
		default:
			asked, fits = fastPathUsage(asked, name, value)
			asks = true
		}
		if !fits {
			return credentials, "", false
		}
	}
	if (credentials.ServiceToken == "") == (credentials.ProviderKey == "") || credentials.ServiceToken != "" && serviceID == "" {
		return credentials, "", false
	}
	c.application, c.appKey, c.referrer, c.code, c.asks, c.asked = app, key, referrer, code, asks, asked
	return credentials, serviceID, true
}

// fastPathUsage appends what a parameter usage[…] says; false if it is none, or not a plain one.
func fastPathUsage(dst []quota.Amount, name, value string) ([]quota.Amount, bool) {
	metric, ok := strings.CutPrefix(name, "usage[")
	if ok {
		metric, ok = strings.CutSuffix(metric, "]")
	} else if metric, ok = strings.CutPrefix(name, "usage%5B"); ok {
		metric, ok = strings.CutSuffix(metric, "%5D")
	}
	if !ok || metric == "" || len(value) > 15 || !plain(metric) {
		return dst, false
	}
	for i := range dst {
		if dst[i].Name == metric {
			return dst, false
		}
	}
	n := int64(0)
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return dst, false
		}
		n = n*10 + int64(value[i]-'0')
	}
	return append(dst, quota.Amount{Name: metric, Value: n}), true
}

// unplain are the bytes that may mean something else than themselves.
var unplain = func() (set [256]bool) {
	for b := range set {
		set[b] = b <= ' ' || b >= 0x7f || strings.IndexByte(`%+[]&=;#`, byte(b)) >= 0
	}
	return set
}()

func plain(s string) bool {
	for i := range len(s) {
		if unplain[s[i]] {
			return false
		}
	}
	return true
}
