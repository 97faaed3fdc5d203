package source

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/internal/respond"
)

// HandlerOptions are those of Handler.
type HandlerOptions struct {
	Origins []string // of pages that may read from a browser; "*": all
	// Operators are the tokens that open every source, with the scope read. Only on the admin listener.
	Operators *access.Tokens
	// Admin says that it is the admin listener: an operator's token opens every source, and without Operators no token is needed.
	Admin bool
}

// handler serves /sources/NAME.json, .csv and .ndjson.
type handler struct {
	store *Store
	HandlerOptions
}

// Handler serves the answers, and nothing else: GET and HEAD of /sources/NAME.json, .csv and .ndjson, and the OPTIONS of browsers. A
// source's token opens that source. A wrong token and a name that no source has get the same answer.
func (s *Store) Handler(o HandlerOptions) http.Handler { return &handler{s, o} }

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	access.ShareReads(w.Header(), r, h.Origins, "Age, ETag, Last-Modified, X-Reporterd-Stale")
	file, ok := strings.CutPrefix(r.URL.Path, "/sources/")
	dot := strings.LastIndexByte(file, '.')
	switch {
	case !ok || dot < 1:
		respond.Problem(w, http.StatusNotFound, "expected /sources/NAME.json, .csv or .ndjson")
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		respond.Problem(w, http.StatusMethodNotAllowed, "expected GET: sources are only read")
	default:
		h.answer(w, r, file[:dot], file[dot+1:])
	}
}

// admit reports whether the caller may read a source; otherwise it answers. src is nil for a name that no source has.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, src *Source) bool {
	token := access.Presented(r)
	if src != nil && src.Opens(token) {
		return true
	}
	if h.Admin {
		if g, err := h.Operators.Find(token); err == nil && g.May(access.Read) {
			return true
		}
	}
	if token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="reporterd"`)
		respond.Problem(w, http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN, Basic with the token as the password, or access_token=TOKEN")
		return false
	}
	respond.Problem(w, http.StatusForbidden, "the token does not open this source")
	return false
}

// kinds are the media types by extension.
var kinds = map[string]string{"json": "application/json", "csv": "text/csv; charset=utf-8; header=present", "ndjson": "application/x-ndjson"}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, name, extension string) {
	src, answer, state, err := h.store.find(name)
	if !h.admit(w, r, src) {
		return
	}
	switch {
	case err != nil:
		respond.Problem(w, http.StatusNotFound, err.Error())
		return
	case kinds[extension] == "":
		respond.Problem(w, http.StatusNotFound, "expected the extension .json, .csv or .ndjson")
		return
	case answer == nil:
		w.Header().Set("Retry-After", "30")
		respond.Problem(w, http.StatusServiceUnavailable, "there is no answer yet: "+state.Reason)
		return
	}
	tag := describe(w.Header(), src, answer, state)
	w.Header().Set("Content-Type", kinds[extension])
	if unchanged(r, tag, answer.AsOf) {
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	var body []byte
	switch extension {
	case "csv":
		w.Header().Set("Content-Disposition", `inline; filename="`+src.Name+`.csv"`)
		body = answer.csv()
	case "ndjson":
		body = answer.ndjson()
	default:
		body = answer.json(src, state)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client is gone
	}
}

// describe sets the headers of an answer, and returns its tag, which changes when rows or staleness do.
func describe(header http.Header, src *Source, answer *encoded, state State) (tag string) {
	tag = `W/"` + answer.tag + `"`
	left := max(int64(src.Refresh/time.Second)-state.AgeSeconds, 0)
	if state.Stale {
		tag, left = `W/"`+answer.tag+`-stale"`, 0
		header.Set("X-Reporterd-Stale", oneLine(state.Reason))
	}
	header.Set("Cache-Control", "private, max-age="+strconv.FormatInt(left, 10))
	header.Set("ETag", tag)
	header.Set("Last-Modified", answer.AsOf.UTC().Format(http.TimeFormat))
	header.Set("X-Reporterd-As-Of", stamp(answer.AsOf.UTC()))
	header.Set("X-Reporterd-Age", strconv.FormatInt(state.AgeSeconds, 10))
	return tag
}

// oneLine makes a text fit for a header.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, text)
	return text[:min(len(text), 300)]
}

// Unchanged reports whether the caller has what has a tag already (If-None-Match).
func Unchanged(r *http.Request, tag string) bool {
	return r.Header.Get("If-None-Match") != "" && unchanged(r, tag, time.Time{})
}

// unchanged reports whether the caller has the answer already. If-None-Match beats If-Modified-Since.
func unchanged(r *http.Request, tag string, asOf time.Time) bool {
	if tags := r.Header.Get("If-None-Match"); tags != "" {
		for each := range strings.SplitSeq(tags, ",") {
			if each = strings.TrimSpace(each); each == "*" || strings.TrimPrefix(each, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
		return false
	}
	at, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !asOf.Truncate(time.Second).After(at) && !strings.HasSuffix(tag, `-stale"`)
}
