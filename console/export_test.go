package console

// OwnRoutes are the patterns of what a console serves by itself.
func OwnRoutes(o Options) (patterns []string) {
	for _, r := range New(o).own() {
		patterns = append(patterns, r.Pattern)
	}
	return patterns
}
