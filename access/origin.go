package access

import (
	"net/http"
	"slices"
)

// ShareReads sets the headers with which a browser lets pages of the given origins read an answer to GET, or all pages for "*"; and
// those of the answer to the browser's OPTIONS before. exposed names the headers of the answer that pages may see. Pages of other
// origins get the same answer without these headers, so they do not learn which origins may read.
func ShareReads(h http.Header, r *http.Request, origins []string, exposed string) {
	if len(origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(origins, origin) && !slices.Contains(origins, "*") {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposed)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "Authorization, If-None-Match, If-Modified-Since")
		h.Set("Access-Control-Max-Age", "600")
	}
}
