package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
)

const (
	maxRequest = 4 << 20 // bytes of a request, half of what the daemon takes
	firstPause = 200 * time.Millisecond
	mostPause  = 10 * time.Second
	oneRequest = 30 * time.Second // how long one answer is waited for
)

// dispatch sends the events of a source, request by request.
type dispatch struct {
	daemon     *client.Client
	screen     *terminal.Screen
	source     *eventSource
	batch      int // events of a request
	timeout    time.Duration
	repeatable bool // events have ids

	began      time.Time
	accepted   int
	duplicates int
	sent       int // events that were answered
	lastID     string
}

// sentRequest is what became of a request, in JSON.
type sentRequest struct {
	First      int      `json:"first_event"` // of the source, from 1
	Last       int      `json:"last_event"`
	Accepted   int      `json:"accepted"`
	Duplicates int      `json:"duplicates"`
	IDs        []string `json:"ids"` // that were given to events without one
}

func (d *dispatch) run(ctx context.Context) error {
	d.began = time.Now()
	d.daemon.SetTimeout(oneRequest)
	for more := true; more; {
		var body bytes.Buffer
		ids, n, err := d.fill(&body)
		if err != nil && !errors.Is(err, io.EOF) {
			return d.unfinished(err)
		}
		more = err == nil
		if n == 0 {
			break
		}
		came, err := d.send(ctx, body.Bytes())
		if err != nil {
			return d.unfinished(d.explain(err))
		}
		if err := d.book(came, n, ids); err != nil {
			return err
		}
	}
	d.report()
	return nil
}

// fill reads the events of one request. The error is io.EOF behind the last one.
func (d *dispatch) fill(body *bytes.Buffer) (ids []string, n int, err error) {
	for n < d.batch && body.Len() < maxRequest {
		e, err := d.source.next()
		if err != nil {
			return ids, n, err
		}
		body.Write(e.line)
		body.WriteByte('\n')
		if n++; e.id != "" {
			ids = append(ids, e.id)
		}
	}
	return ids, n, nil
}

// send sends a request, and repeats it while there is no answer, or one to come again later.
func (d *dispatch) send(ctx context.Context, body []byte) (came client.Accepted, err error) {
	until := time.Now().Add(d.timeout)
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		came, err = d.daemon.SendEvents(ctx, body)
		if err == nil || ctx.Err() != nil {
			return came, err
		}
		wait := pause
		var refused *client.Refusal
		switch {
		case errors.As(err, &refused):
			if refused.Status != http.StatusTooManyRequests && refused.Status != http.StatusServiceUnavailable {
				return came, err
			}
			wait = max(refused.RetryAfter, firstPause)
		case !d.repeatable:
			return came, fmt.Errorf("%w: whether these events were taken is not known", err)
		}
		if time.Now().Add(wait).After(until) {
			return came, err
		}
		d.screen.Note(fmt.Sprintf("waiting: %s", terminal.Clean(err.Error())))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return came, ctx.Err()
		case <-timer.C:
		}
	}
}

// book adds up what was answered.
func (d *dispatch) book(came client.Accepted, n int, ids []string) error {
	first := d.sent + 1
	d.sent, d.accepted, d.duplicates = d.sent+n, d.accepted+came.Accepted, d.duplicates+came.Duplicates
	if len(ids) > 0 {
		d.lastID = ids[len(ids)-1]
	}
	if d.sent > n { // a single request ends before a progress line is of use
		d.screen.Progress(count(d.sent, "event"), d.source.progress(), d.source.size)
	}
	if !d.screen.JSON() {
		return nil
	}
	return d.screen.Object(sentRequest{first, d.sent, came.Accepted, came.Duplicates, append([]string{}, ids...)})
}

// explain names the events of the source that a refusal is about.
func (d *dispatch) explain(err error) error {
	var refused *client.Refusal
	if !errors.As(err, &refused) || len(refused.Faults) == 0 {
		return err
	}
	text := ""
	for i, f := range refused.Faults {
		if i == maxErrors {
			text += fmt.Sprintf("\nand %d more", len(refused.Faults)-i)
			break
		}
		what := f.Detail
		if f.Field != "" {
			what = f.Field + ": " + f.Detail
		}
		text += fmt.Sprintf("\nevent %d: %s", d.sent+1+f.Index, terminal.Clean(what))
	}
	return fmt.Errorf("refused%s", text)
}

// unfinished is the error of a run that did not come to the end of its source.
func (d *dispatch) unfinished(err error) error {
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	done := "nothing was taken"
	if d.sent > 0 {
		done = count(d.sent, "event") + " on disk, the rest is not"
		if d.source.ids == idsContent {
			done += "; run the command again: those are not counted twice"
		}
	}
	return failed(fmt.Errorf("%s: %w\n%s", d.source.name, err, done))
}

// report says what was done.
func (d *dispatch) report() {
	if d.screen.JSON() {
		return
	}
	text := count(d.accepted, "event") + " accepted"
	if d.duplicates > 0 {
		text += fmt.Sprintf(", %d known already by their ids", d.duplicates)
	}
	if d.sent == 1 && d.lastID != "" {
		d.screen.Printf("%s, id %s\n", text, d.lastID)
		return
	}
	d.screen.Printf("%s in %s\n", text, terminal.Age(time.Since(d.began)))
}
