package analytics

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
)

// Options of New.
type Options struct {
	Source  Source
	Tokens  *access.Tokens // asked for, each for its scopes; nil: none are
	Origins []string       // of pages that may read from a browser; "*": all
	Now     func() time.Time
	Log     *zap.Logger
}

// API answers below /stats/ and /admin/api/. It asks for tokens itself, since the original refuses in words of its own.
type API struct {
	Options
}

// New fills in what is not given.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &API{o}
}

// call is one call under way.
type call struct {
	*API
	ctx    context.Context
	params url.Values
	grant  *access.Grant
	path   []string // below /stats or /admin/api, the last without its extension
	format string   // json, xml, csv
}

// ServeHTTP answers GET and HEAD, and the OPTIONS of browsers.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache") // kept, and asked about again: answers have an ETag
	access.ShareReads(h, r, a.Origins, "ETag, X-Reporterd-As-Of, X-Reporterd-Kept-Since")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c := &call{API: a, ctx: r.Context(), params: r.URL.Query(), format: formatOf(r)}
	resolve(c.params, a.Now())
	answer, err := c.answer(r)
	if err != nil {
		c.refuse(w, err)
		return
	}
	if kept := a.Source.Kept; kept != nil {
		if since := kept(); !since.IsZero() {
			h.Set("X-Reporterd-Kept-Since", since.UTC().Format(time.RFC3339))
		}
	}
	h.Set("X-Reporterd-As-Of", a.Now().UTC().Format(time.RFC3339))
	c.send(w, r, answer)
}

// formatOf is the extension, or what is accepted.
func formatOf(r *http.Request) string {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if _, ext, ok := strings.Cut(name, "."); ok {
		return ext
	}
	if accept := r.Header.Get("Accept"); accept == "" || strings.Contains(accept, "*/*") || strings.Contains(accept, "application/json") {
		return "json"
	}
	return ""
}

func (c *call) answer(r *http.Request) (any, error) {
	stats := strings.HasPrefix(r.URL.Path, "/stats/")
	scope := access.AccountManagement
	if stats {
		scope = access.Stats
	}
	if err := c.admit(r, scope); err != nil {
		return nil, err
	}
	if c.format != "json" && !(stats && (c.format == "xml" || c.format == "csv")) {
		return nil, &Refusal{Status: http.StatusNotAcceptable, Sentence: `The server does not understand "` + c.format + `" request.`, Plain: true}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/stats/"), "/admin/api/")
	c.path = strings.Split(strings.TrimSuffix(rest, "."+c.format), "/")
	if stats {
		return c.stats()
	}
	return c.account()
}

// admit asks for a token. The original answers 403, never 401.
func (c *call) admit(r *http.Request, scope string) error {
	var err error
	for _, token := range presented(r) {
		if c.grant, err = c.Tokens.Find(token); err == nil {
			break
		}
	}
	switch {
	case err != nil:
		return refuse(http.StatusForbidden, "Access denied")
	case !c.grant.May(scope):
		return refuse(http.StatusForbidden, "Your access token does not have the correct permissions")
	}
	return nil
}

// presented are the tokens a call may mean: either half of Basic may be one.
func presented(r *http.Request) []string {
	all := []string{access.Presented(r)}
	if _, encoded, ok := strings.Cut(r.Header.Get("Authorization"), "Basic "); ok {
		text, _ := base64.StdEncoding.DecodeString(encoded)
		user, _, _ := strings.Cut(string(text), ":")
		all = append(all, user)
	}
	return all
}

// is reports whether the path has this pattern, in which "*" stands for any segment.
func (c *call) is(pattern string) bool {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(c.path) {
		return false
	}
	for i, part := range parts {
		if part != "*" && part != c.path[i] {
			return false
		}
	}
	return true
}

// refuse sends an error as the original would.
func (c *call) refuse(w http.ResponseWriter, err error) {
	var r *Refusal
	if !errors.As(err, &r) {
		c.Log.Warn("an analytics query cannot be answered", zap.Error(err))
		r = &Refusal{Status: http.StatusServiceUnavailable, Sentence: "The figures cannot be read at the moment", Key: "error"}
		w.Header().Set("Retry-After", "30")
	}
	kind, body := "application/json; charset=utf-8", encode(map[string]string{r.Key: r.Sentence})
	switch {
	case r.Plain, c.format == "csv":
		kind, body = "text/plain; charset=utf-8", []byte(r.Sentence)
	case c.format == "xml" && r.Key == "error":
		kind, body = "application/xml; charset=utf-8", []byte(xmlHead+"<error>"+escape(r.Sentence)+"</error>\n")
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(r.Status)
	_, _ = w.Write(body)
}
