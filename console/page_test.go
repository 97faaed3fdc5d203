package console

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ask(t *testing.T, c *Console, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(text)
}

// TestPage: a browser gets the page and everything it names, a person with curl the list of paths. Nothing on it
// needs a policy laxer than the one it is sent with.
func TestPage(t *testing.T) {
	c := New(Options{Snapshot: func(int) Snapshot { return complete }, Ready: func() error { return nil }})
	assert.Contains(t, bodyOf(t, ask(t, c, "/")), "GET  /livez")
	page := ask(t, c, "/", "Accept", "text/html,*/*")
	require.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
	html := bodyOf(t, page)
	for _, inline := range []string{"<script>", " style=", "<style", " onclick", "javascript:", "http://", "https://"} {
		assert.NotContains(t, html, inline)
	}
	kinds, weight := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "html": "text/html; charset=utf-8"}, 0
	named := regexp.MustCompile(`(?:href|src)="page/([a-zA-Z.]+)\.([a-z]+)"`).FindAllStringSubmatch(html, -1)
	for _, js := range []string{"live", "session", "chart", "letters", "format", "ledger", "heatmap", "usage", "parked", "names", "address"} {
		named = append(named, []string{"", js, "js"})
	}
	require.Len(t, named, 18)
	for _, n := range named {
		path := "/page/" + n[1] + "." + n[2]
		r := ask(t, c, path, "Accept-Encoding", "gzip")
		require.Equal(t, http.StatusOK, r.StatusCode, path)
		assert.Equal(t, kinds[n[2]], r.Header.Get("Content-Type"), path)
		weight += len(bodyOf(t, r))
		again := ask(t, c, path, "If-None-Match", r.Header.Get("ETag"))
		assert.Equal(t, http.StatusNotModified, again.StatusCode)
		assert.NotContains(t, bodyOf(t, ask(t, c, path)), "innerHTML =", "words of producers are text (%s)", path)
	}
	assert.Less(t, weight, 64<<10, "bytes over the wire, besides the page itself")
	t.Logf("%d bytes over the wire, and %d of HTML", weight, len(pages()["index.html"].smaller))
	assert.Equal(t, http.StatusNotFound, ask(t, c, "/page/nosuch.js").StatusCode)
}

// TestLive: figures come once a second, until the daemon stops; only so many may follow.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stops atomic.Bool
		c := New(Options{Snapshot: func(int) Snapshot { return complete }, Ready: func() error {
			if stops.Load() {
				return errors.New(Stopping)
			}
			return nil
		}})
		out, in := io.Pipe()
		begun := time.Now()
		ended := make(chan struct{})
		go func() { // ends with the stream
			defer close(ended)
			c.ServeHTTP(&piped{header: http.Header{}, to: in}, httptest.NewRequest(http.MethodGet, "/api/v1/live", nil))
			_ = in.Close()
		}()
		lines := bufio.NewReader(out)
		for n := range 3 {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			var page struct {
				Events map[string]uint64
				Ready  string
				Commit struct{ Bounds []float64 }
			}
			require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &page))
			assert.Empty(t, page.Ready)
			_, _ = lines.ReadString('\n')
			assert.Equal(t, time.Duration(n)*liveEvery, time.Since(begun))
		}
		stops.Store(true)
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		assert.Contains(t, string(rest), Stopping)
		<-ended
		assert.Zero(t, c.following.Load())
		c.following.Store(maxLive)
		assert.Equal(t, http.StatusServiceUnavailable, ask(t, c, "/api/v1/live").StatusCode)
	})
}

// piped is a response that is read as it is written.
type piped struct {
	header http.Header
	to     io.Writer
}

func (p *piped) Header() http.Header         { return p.header }
func (p *piped) WriteHeader(int)             {}
func (p *piped) Write(b []byte) (int, error) { return p.to.Write(b) }
func (p *piped) Flush()                      {}

// TestWeight: all pages together, with both chart libraries, as they are sent. The bound is that of the issue.
func TestWeight(t *testing.T) {
	weight := 0
	for _, f := range pages() {
		weight += len(f.smaller)
	}
	assert.Less(t, weight, 250<<10)
	t.Logf("%d bytes, compressed; of uPlot %d, of Chart.js %d", weight, len(pages()["uplot.js"].smaller)+len(pages()["uplot.css"].smaller), len(pages()["chartjs.js"].smaller))
}

// TestPagesBringWhatTheyNeed: the pages of sources and dashboards name no outside resource, have nothing inline, and each element that
// their scripts look for.
func TestPagesBringWhatTheyNeed(t *testing.T) {
	for _, name := range []string{"sources", "dashboards"} {
		html, script := string(pages()[name+".html"].plain), string(pages()[name+".js"].plain)
		for _, inline := range []string{"<script>", " style=", "<style", " onclick", "javascript:", "http://", "https://"} {
			assert.NotContains(t, html, inline, name)
		}
		assert.NotContains(t, script, "innerHTML", "words of producers are text")
		for _, each := range regexp.MustCompile(`find\('(\w+)'\)`).FindAllStringSubmatch(script+string(pages()["pages.js"].plain), -1) {
			assert.Contains(t, html, `id="`+each[1]+`"`, name)
		}
		for _, each := range regexp.MustCompile(`(?:href="|src="|from '\./)([a-z]+\.(?:css|js|html))`).FindAllStringSubmatch(html+script, -1) {
			assert.NotEmpty(t, pages()[each[1]].plain, "%s names %s", name, each[1])
		}
	}
}

// TestExplorer: the page of the API brings all that it needs, and nothing of it is inline or elsewhere.
func TestExplorer(t *testing.T) {
	c := New(Options{Snapshot: func(int) Snapshot { return complete }, Ready: func() error { return nil }})
	html := bodyOf(t, ask(t, c, "/page/api.html"))
	for _, inline := range []string{"<script>", " style=", "<style", " onclick", "javascript:", "http://", "https://"} {
		assert.NotContains(t, html, inline)
	}
	script := bodyOf(t, ask(t, c, "/page/api.js"))
	assert.NotRegexp(t, `https?://`, script)
	for _, name := range regexp.MustCompile(`find\('(\w+)'\)`).FindAllStringSubmatch(script, -1) {
		assert.Contains(t, html, `id="`+name[1]+`"`)
	}
	for _, name := range regexp.MustCompile(`(?:href|src|from) ?=?"?'?\.?/?"?([a-z]+\.(?:css|js))`).FindAllStringSubmatch(html+script, -1) {
		assert.Equal(t, http.StatusOK, ask(t, c, "/page/"+name[1]).StatusCode, name[1])
	}
}
