package console

import (
	"net/http"

	"github.com/reporterd/reporterd/internal/respond"
)

// readerFiles are the files of the page of dashboards.
var readerFiles = map[string]bool{
	"dashboards.html": true, "dashboards.css": true, "dashboards.js": true, "tiles.js": true, "pages.js": true, "session.js": true, "address.js": true,
	"format.js": true, "console.css": true, "uplot.js": true, "uplot.css": true, "chartjs.js": true,
}

// Reader serves a listener that can only read: sources, and dashboards with their page, which shows nothing without a token. Both handlers
// check tokens themselves. Anything else is left to sources, which answers 404.
func Reader(sources, dashboards http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("/", sources)
	m.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		name := r.PathValue("file")
		if !readerFiles[name] {
			respond.Problem(w, http.StatusNotFound, "the page has no such file")
			return
		}
		f := pages()[name]
		f.send(w, r)
	})
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		dashboards.ServeHTTP(w, r)
	})
	m.Handle("GET /api/v1/dashboards/{name}", shown)
	m.Handle("GET /api/v1/dashboards/{name}/tiles/{tile}", shown)
	return m
}
