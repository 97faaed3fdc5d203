package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/reporterd/reporterd/internal/respond"
)

// pageFiles is the web page: plain HTML, CSS and modules, without a build step, and uPlot for the chart.
//
//go:embed page/*.html page/*.css page/*.js
var pageFiles embed.FS

// pageFile is one of the files, in the form it is sent.
type pageFile struct {
	kind, tag      string
	plain, smaller []byte
}

// kinds are fixed here, since a machine's own table may have other types.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
}

// pages returns the files by name. The first call compresses them: every command would wait 40 ms for what the page alone needs.
var pages = sync.OnceValue(loadPages)

func loadPages() map[string]pageFile {
	entries, err := pageFiles.ReadDir("page")
	if err != nil {
		panic(fmt.Sprintf("console: %v", err)) // they are embedded in the program
	}
	all := make(map[string]pageFile, len(entries))
	for _, e := range entries {
		text, err := pageFiles.ReadFile("page/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("console: %v", err))
		}
		var small bytes.Buffer
		w, _ := gzip.NewWriterLevel(&small, gzip.BestCompression) // the level exists
		_, _ = w.Write(text)                                      // memory accepts it
		_ = w.Close()
		sum := sha256.Sum256(text)
		all[e.Name()] = pageFile{
			kind: kinds[path.Ext(e.Name())], tag: `"` + hex.EncodeToString(sum[:8]) + `"`, plain: text, smaller: small.Bytes(),
		}
	}
	return all
}

// page sends one file of the page.
func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	f, ok := pages()[r.PathValue("file")]
	if !ok {
		respond.Problem(w, http.StatusNotFound, "the page has no such file")
		return
	}
	f.send(w, r)
}

// send sends the file, or the status that the browser has it already.
func (f *pageFile) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache") // it is requested again, and usually not sent
	h.Set("ETag", f.tag)
	h.Set("Content-Type", f.kind)
	h.Add("Vary", "Accept-Encoding, Accept")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.smaller
	}
	_, _ = w.Write(body) // an error means that the client is gone
}

// wantsPage reports whether the client is a browser.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
