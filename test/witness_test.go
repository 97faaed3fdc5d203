package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// witness stands between daemon and backend. It sees every report, decides its fate, and remembers what
// landed: what the backend counted, whether or not the daemon was told.
type witness struct {
	backend string // base URL
	client  *http.Client

	mu       sync.Mutex // guards what follows
	rand     *rand.Rand
	honest   bool // no more faults
	away     bool // every call is refused
	reports  map[[sha256.Size]byte]*sighting
	problems []string
	orders   []order
	deaf     bool // what it answers does not arrive
}

// sighting is one report, by its body, and every attempt at it.
type sighting struct {
	usage    tally
	cells    cells // the same, as the ledger has it
	attempts []attempt
}

// attempt is one call.
type attempt struct {
	life    int  // of the daemon that made it
	landed  bool // the backend counted it
	told    bool // the daemon was answered 202
	certain bool // the daemon was answered that it was not counted
}

// fate is what happens to one call.
type fate int

const (
	passes         fate = iota
	refused             // 503, not counted: certain
	cutBefore           // the connection ends, not counted: ambiguous to the daemon
	failsAfter          // 500, although it was counted
	cutAfter            // the connection ends, although it was counted
	fatesUnwelcome = 5
)

func newWitness(backendURL string, seed uint64) *witness {
	return &witness{backend: backendURL, client: newClient(), rand: rand.New(rand.NewPCG(seed, 1<<32)),
		reports: map[[sha256.Size]byte]*sighting{}}
}

// attend opens a listener for one life of the daemon, so that what arrives late is still known to be
// from that life. The returned function ends it, once every call is through.
func (w *witness) attend(t testing.TB, life int) (baseURL string, leave func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r, life) })}
	ended := make(chan struct{})
	go func() { // ends with leave
		defer close(ended)
		_ = server.Serve(l)
	}()
	return "http://" + l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
		<-ended
	}
}

// swearIn ends the faults.
func (w *witness) swearIn() { w.swear(true) }

// swear ends the faults, or has them go on.
func (w *witness) swear(honest bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.honest = honest
}

// refuses has every call refused from now on, or none.
func (w *witness) refuses(all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = all
}

// serve is one call of the daemon.
func (w *witness) serve(rw http.ResponseWriter, r *http.Request, life int) {
	if r.Method == http.MethodGet {
		w.question(rw, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil || r.Method != http.MethodPost {
		panic(http.ErrAbortHandler) // the daemon died while it wrote: nothing reached the backend
	}
	if o, any := w.ordered(); any {
		w.obey(rw, r, body, life, o)
		return
	}
	switch w.draw() {
	case refused:
		w.saw(body, attempt{life: life, certain: true})
		rw.WriteHeader(http.StatusServiceUnavailable)
	case cutBefore:
		w.saw(body, attempt{life: life})
		panic(http.ErrAbortHandler)
	case failsAfter:
		w.forward(r, body, attempt{life: life})
		rw.WriteHeader(http.StatusInternalServerError)
	case cutAfter:
		w.forward(r, body, attempt{life: life})
		panic(http.ErrAbortHandler)
	default:
		got := w.forward(r, body, attempt{life: life, told: true})
		rw.WriteHeader(got.status)
		_, _ = io.WriteString(rw, got.body)
	}
}

// question is a call that counts nothing. It fails as often as a report does.
func (w *witness) question(rw http.ResponseWriter, r *http.Request) {
	switch w.draw() {
	case passes:
	case refused, failsAfter:
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	default:
		panic(http.ErrAbortHandler)
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, w.backend+r.URL.RequestURI(), nil)
	if err != nil {
		panic(err)
	}
	req.Header = r.Header.Clone()
	got, err := do(w.client, req)
	if err != nil {
		panic(http.ErrAbortHandler) // the daemon died, or gave up
	}
	rw.Header().Set("Content-Type", got.header.Get("Content-Type"))
	rw.WriteHeader(got.status)
	_, _ = io.WriteString(rw, got.body)
}

// draw decides: one call in six goes wrong.
func (w *witness) draw() fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return refused
	}
	if w.honest || w.rand.IntN(6) > 0 {
		return passes
	}
	return fate(1 + w.rand.IntN(fatesUnwelcome-1))
}

// forward lets a report reach the backend and books it, whatever becomes of the daemon meanwhile.
func (w *witness) forward(r *http.Request, body []byte, a attempt) answer {
	req, err := http.NewRequest(http.MethodPost, w.backend+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header = r.Header.Clone()
	got, err := do(w.client, req)
	if err != nil {
		w.complain("the backend did not answer: " + err.Error())
		panic(http.ErrAbortHandler)
	}
	if a.landed = got.status == http.StatusAccepted; !a.landed {
		w.complain(fmt.Sprintf("the backend refused a report: %d %s", got.status, got.body))
	}
	a.told = a.told && a.landed
	w.saw(body, a)
	return got
}

// saw books an attempt.
func (w *witness) saw(body []byte, a attempt) {
	usage, problem := readReport(body)
	if problem != "" {
		w.complain(problem)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.told = a.told && !w.deaf
	sum := sha256.Sum256(body)
	s := w.reports[sum]
	if s == nil {
		s = &sighting{usage: usage, cells: readCells(body)}
		w.reports[sum] = s
	}
	s.attempts = append(s.attempts, a)
}

func (w *witness) complain(problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, problem)
}

// readReport says what a report is worth, and whether it keeps to the backend's caps.
func readReport(body []byte) (tally, string) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, "a body that is no form: " + err.Error()
	}
	if params := bytes.Count(body, []byte("&")) + 1; params > 4096 || len(body) > 4<<20 {
		return nil, fmt.Sprintf("a report of %d parameters and %d bytes", params, len(body))
	}
	t, applications := tally{}, 0
	service := form.Get("service_id")
	for name, values := range form {
		index, rest, ok := strings.Cut(strings.TrimPrefix(name, "transactions["), "]")
		if !ok {
			continue
		}
		if rest == "[app_id]" || rest == "[user_key]" {
			applications++
		}
		metric, ok := strings.CutPrefix(rest, "[usage][")
		if !ok {
			continue
		}
		value, err := strconv.ParseUint(values[0], 10, 64)
		if err != nil {
			return nil, "a value that is no number: " + values[0]
		}
		prefix := "transactions[" + index + "]"
		app := shownAs(service, form.Get(prefix+"[app_id]"), form.Get(prefix+"[user_key]"))
		t.count(service, app, strings.TrimSuffix(metric, "]"), value)
	}
	if applications > 1000 || applications == 0 {
		return nil, fmt.Sprintf("a report of %d transactions", applications)
	}
	return t, ""
}
