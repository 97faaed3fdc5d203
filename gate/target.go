package gate

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// target is the path and query of an API call, in the one form that rules are held against.
type target struct {
	path  string // decoded, without empty and dot segments
	query string // as written
}

var errAmbiguous = errors.New("the path is ambiguous")

// newTarget makes the path of a raw target canonical: proxies and origins have to agree on what it means, so that /search,
// //search, /%73earch and /a/../search are one path. A path that servers read differently is refused: an encoded slash or
// backslash, a backslash, a control character, an escape that is none.
func newTarget(raw string) (target, error) {
	if i := strings.IndexByte(raw, '#'); i >= 0 {
		return target{}, fmt.Errorf("%w: it has a fragment", errAmbiguous)
	}
	escaped, query, _ := strings.Cut(raw, "?")
	if !strings.HasPrefix(escaped, "/") {
		return target{}, fmt.Errorf("%w: it does not begin with a slash", errAmbiguous)
	}
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return target{}, fmt.Errorf("%w: it has an escape that is none", errAmbiguous)
	}
	if strings.Count(decoded, "/") != strings.Count(escaped, "/") || strings.ContainsRune(decoded, '\\') {
		return target{}, fmt.Errorf("%w: it has an encoded slash or a backslash", errAmbiguous)
	}
	for _, c := range []byte(decoded) {
		if c < ' ' || c == 0x7f {
			return target{}, fmt.Errorf("%w: it has a control character", errAmbiguous)
		}
	}
	clean := path.Clean(decoded)
	if strings.HasSuffix(decoded, "/") && clean != "/" {
		clean += "/"
	}
	return target{clean, query}, nil
}

// parameter returns the value of a query parameter. ok is false when it is missing, or written
// more than once with different values: which one the origin reads is unknown then.
func (t *target) parameter(name string) (value string, ok bool) {
	for rest := t.query; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, text, _ := strings.Cut(pair, "=")
		if !strings.Contains(key, name) && !strings.ContainsAny(key, "%+") {
			continue
		}
		key, err := url.QueryUnescape(key)
		if err != nil || key != name {
			continue
		}
		text, err = url.QueryUnescape(text)
		if err != nil || ok && text != value {
			return "", false
		}
		value, ok = text, true
	}
	return value, ok
}
