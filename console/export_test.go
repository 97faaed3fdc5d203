package console

// OwnRoutes returns the patterns of the routes that a console serves itself.
func OwnRoutes(o Options) (patterns []string) {
	for _, r := range New(o).ownRoutes() {
		patterns = append(patterns, r.Pattern)
	}
	return patterns
}
