package sandbox

import (
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// ServeHTTP answers 3scale's calls and those under /sandbox/. It routes by hand: the backend knows no
// redirect and no 405.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := cleaned(r.URL.Path)
	if strings.HasPrefix(at, "/sandbox/") {
		s.serveControl(w, r, at)
		return
	}
	if isPortal(at) {
		s.servePortal(w, r, at)
		return
	}
	if c := callOf(r, at); c != nil {
		s.serveCall(w, r, c)
		return
	}
	fixed(r.Method, at).send(w)
}

// cleaned removes empty and dot segments, as the backend does. A trailing slash stays: it is another path
// (recordings auth-double-slash-path, auth-trailing-slash).
func cleaned(p string) string {
	clean := path.Clean("/" + p)
	if last := p[strings.LastIndexByte(p, '/')+1:]; clean != "/" && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean
}

// fixed answers what looks at nothing. It does not touch the database: the real /status says ok while
// every other call fails.
func fixed(method, at string) *answer {
	get := method == http.MethodGet || method == http.MethodHead
	switch {
	case method == http.MethodOptions:
		return preflight()
	case get && at == "/status":
		a := plainAnswer(http.StatusOK)
		a.header.Set("Content-Type", "application/json")
		a.body = []byte(`{"status":"ok","version":{"backend":"3.4.3"}}`)
		return a
	case get && at == "/check.txt":
		a := plainAnswer(http.StatusOK)
		a.header.Set("Content-Type", "text/plain;charset=utf-8")
		a.body = []byte("ok")
		return a
	case method == http.MethodHead && at == "/available":
		return plainAnswer(http.StatusOK)
	}
	return refused(threescale.NotFound(), false)
}

// call is one report, authorize or authrep.
type call struct {
	kind    callKind
	oauth   bool
	at      time.Time     // by the sandbox's clock
	now     time.Time     // by the backend's
	late    time.Duration // by how much it lands later
	view    *view         // of the process that has it
	options threescale.Options
	params  threescale.Value
	err     error  // the parameters could not be read
	body    *meter // of a report
}

// callOf returns the call a method and path stand for, or nil. HEAD on authrep counts, as GET does.
func callOf(r *http.Request, at string) *call {
	c := &call{kind: authorizeCall}
	switch at {
	case "/transactions.xml":
		if r.Method != http.MethodPost {
			return nil
		}
		c.kind = reportCall
		return c
	case "/transactions/authorize.xml":
	case "/transactions/oauth_authorize.xml":
		c.oauth = true
	case "/transactions/authrep.xml":
		c.kind = authrepCall
	case "/transactions/oauth_authrep.xml":
		c.kind, c.oauth = authrepCall, true
	default:
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	return c
}

// maxDrain bounds what is read of a body that is refused already. The backend's HTTP server reads every body
// to its end before the application sees it, so a caller can always write all of it.
const maxDrain = 64 << 20

// read takes everything the call says, before any of it is judged.
func (c *call) read(r *http.Request) {
	c.options = threescale.ParseOptions(r.Header.Get(threescale.OptionsHeader))
	if c.kind == reportCall {
		c.body = &meter{ReadCloser: r.Body}
		r.Body = c.body
	}
	c.params, c.err = threescale.ReadParams(r, threescale.ReadOptions{})
	if c.err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // its error has been seen, or is the caller's end
	}
}

// serveCall answers a call, or lets a fault do so.
func (s *Sandbox) serveCall(w http.ResponseWriter, r *http.Request, c *call) {
	c.read(r)
	a, fault := s.handle(c)
	s.date(w.Header())
	if fault != nil && !fault.meet(w, r) {
		return
	}
	a.send(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work(s.now())
}

// handle decides a call. The answer is nil when a fault keeps it from being handled.
func (s *Sandbox) handle(c *call) (*answer, *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.at = s.now()
	s.work(c.at)
	c.now, c.view = s.clock(c.at), s.listeners.next()
	s.calls.arrived(c.kind)
	if c.kind == reportCall {
		s.calls.measured(c.body, c.params.Get("transactions").Len())
	}
	fault := s.faults.take(c.kind, c.params.Get("service_id").Text())
	if fault != nil {
		s.calls.Faults++
		if !fault.handles() {
			return nil, fault
		}
		c.late = time.Duration(fault.Late)
	}
	switch {
	case c.err != nil && c.kind == reportCall:
		s.calls.RefusedReports++
		return refused(c.err, c.options.NoBody), fault
	case c.err != nil:
		return refused(c.err, c.options.NoBody), fault
	case c.kind == reportCall:
		return s.report(c), fault
	}
	return s.authorize(c), fault
}

// meet lets the fault happen to a call. It reports whether the call's own answer is still to be sent.
func (f *Fault) meet(w http.ResponseWriter, r *http.Request) bool {
	if f.Delay > 0 && wait(r.Context(), time.Duration(f.Delay)) != nil {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	if !f.replaces() {
		return true
	}
	switch {
	case f.Status == 0:
		panic(http.ErrAbortHandler)
	case f.Close:
		f.answer().breakOff(w)
	}
	f.answer().send(w)
	return false
}
