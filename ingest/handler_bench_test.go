package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/internal/memory"
	"github.com/stretchr/testify/assert"
)

// nowhere is a Journal that forgets.
type nowhere struct{}

func (nowhere) Append(context.Context, []event.Event) (int, error) { return 0, nil }

// blank is a ResponseWriter that costs nothing.
type blank struct {
	header http.Header
	status int
}

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) WriteHeader(status int)      { b.status = status }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }

// replay is a body that can be read again and again.
type replay struct{ bytes.Reader }

func (*replay) Close() error { return nil }

// serve returns a function that has h answer the same body once more.
func serve(h http.Handler, body []byte) func() int {
	in, out := new(replay), &blank{header: make(http.Header)}
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/v1/events"}, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": jsonType}, Body: in,
	}
	return func() int {
		in.Reset(body)
		clear(out.header)
		h.ServeHTTP(out, r)
		return out.status
	}
}

// bare reads the body and answers, and nothing else: the floor.
func bare(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"accepted":1,"duplicates":0}`)
}

// plainJSON reads the body as one would without a scanner.
func plainJSON(w http.ResponseWriter, r *http.Request) {
	var events []plainEvent
	body, _ := io.ReadAll(r.Body)
	if json.Unmarshal(body, &events) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	bare(w, r)
}

// BenchmarkHandler answers in process, without a network and with a journal that forgets, beside a
// handler that only reads and one that uses encoding/json.
func BenchmarkHandler(b *testing.B) {
	h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: nowhere{}})
	for _, size := range []struct {
		name   string
		events int
	}{{"1", 1}, {"100", 100}} {
		body := eventsBody(size.events)
		for name, handler := range map[string]http.Handler{"reporterd": h, "bare": http.HandlerFunc(bare), "encoding-json": http.HandlerFunc(plainJSON)} {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				answer := serve(handler, body)
				for b.Loop() {
					if answer() != http.StatusAccepted {
						b.Fatal("not accepted")
					}
				}
				perEvent(b, size.events, len(body))
			})
		}
	}
}

func TestHandlerHardlyAllocates(t *testing.T) {
	h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: nowhere{}})
	for _, n := range []int{1, 100} {
		answer := serve(h, eventsBody(n))
		least := 100.0
		for range 20 { // sync.Pool drops what it has at a collection, and under -race a quarter of all
			least = min(least, testing.AllocsPerRun(1, func() { answer() }))
		}
		assert.LessOrEqual(t, least, 1.0, "per request of %d events: the context that a client's end does not end", n)
	}
	runtime.KeepAlive(h)
}

// deadlines is a ResponseWriter that counts the deadlines that are set for its request's body.
type deadlines struct {
	blank
	n int
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.n++
	return nil
}

// TestDeadlinesOfBodies: the handler sets a deadline for a body only while a part of it has not arrived.
func TestDeadlinesOfBodies(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 3*memory.Floor)
	for _, c := range []struct {
		length int64
		set    bool
	}{{int64(len(body)), false}, {int64(len(body)) + 1, true}, {-1, true}} {
		in, out := new(replay), &deadlines{}
		in.Reset(body)
		w := buffers{reader: bodyReader{ReadCloser: in, writer: out, length: c.length}}
		w.account.Budget = NewBudget(MaxMemory)
		assert.NoError(t, w.read(&http.Request{ContentLength: c.length}, 1<<20))
		assert.Equal(t, c.set, out.n > 0, "Content-Length %d", c.length)
	}
}
