package ingest

import "strings"

// clean returns a decoded path as the backend matches it: with slashes for backslashes and without empty and dot segments. A
// path that ends in a slash or in a dot segment keeps a slash at its end, and is therefore another path (recordings
// auth-double-slash-path, auth-trailing-slash).
func clean(path string) string {
	if isClean(path) {
		return path
	}
	var parts []string
	raw := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	for _, part := range raw {
		switch part {
		case "", ".":
		case "..":
			parts = parts[:max(0, len(parts)-1)]
		default:
			parts = append(parts, part)
		}
	}
	cleaned := "/" + strings.Join(parts, "/")
	if last := raw[len(raw)-1]; len(parts) > 0 && (last == "" || last == "." || last == "..") {
		cleaned += "/"
	}
	return cleaned
}

// isClean reports whether clean would return the path as it is, which is the usual case.
func isClean(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path, "/.") &&
		!strings.Contains(path, `\`)
}
