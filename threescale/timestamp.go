package threescale

// ParseTimestamp reads a timestamp as the backend's worker does.
func ParseTimestamp(s string) (unix int64, ok bool) {
	if at, ok := parseInteger(s); ok {
		return at, true
	}
	return parseDate(s)
}

func parseInteger(s string) (int64, bool) { return 0, false }
func parseDate(s string) (int64, bool)    { return 0, false }
