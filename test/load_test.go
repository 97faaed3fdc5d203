package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is a closed loop of keep-alive connections that send requests written beforehand. It shares the
// cores with the server, so it does as little as HTTP allows: one write and about one read a request.
type load struct {
	address     string
	connections int
	requests    [][]byte // whole requests, head and body, sent in turn
	perRequest  int      // events in each
}

// measure is what a load saw.
type measure struct {
	requests int
	took     time.Duration
	median   time.Duration // of one request
	p99      time.Duration
}

// perSecond is requests a second.
func (m measure) perSecond() float64 { return float64(m.requests) / m.took.Seconds() }

// run sends until ctx ends, or until every request was sent once when ctx has no deadline.
func (l load) run(ctx context.Context) (measure, error) {
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex // guards all and failure
		all     []time.Duration
		failure error
	)
	_, endless := ctx.Deadline()
	begin := time.Now()
	for i := range l.connections {
		wait.Go(func() {
			took, err := l.loop(ctx, i, endless)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failure = err
			}
		})
	}
	wait.Wait()
	m := measure{requests: len(all), took: time.Since(begin)}
	if len(all) > 0 {
		slices.Sort(all)
		m.median, m.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	return m, failure
}

// loop is one connection: it sends every connections-th request, from the i-th on, and again from the
// start when the load is endless. It returns how long each took.
func (l load) loop(ctx context.Context, i int, endless bool) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 4<<10)
	took := make([]time.Duration, 0, 1<<14)
	for n := i; ctx.Err() == nil && (endless || n < len(l.requests)); n += l.connections {
		begin := time.Now()
		if _, err := conn.Write(l.requests[n%len(l.requests)]); err != nil {
			return took, err
		}
		if err := readAnswer(answers, wanted(l.requests[n%len(l.requests)])); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// wanted is the status of a yes: of an authorization, of Influx lines, or of events and reports.
func wanted(request []byte) string {
	switch {
	case bytes.HasPrefix(request, []byte("GET ")):
		return "200"
	case bytes.HasPrefix(request, []byte("POST /write ")):
		return "204"
	}
	return "202"
}

// readAnswer consumes one answer, which has to have the status, and a Content-Length.
func readAnswer(r *bufio.Reader, want string) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 "+want)) {
		return fmt.Errorf("answer: %s", bytes.TrimSpace(status))
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = r.Discard(length)
	return err
}

// rawRequest is a whole POST of events, ready to be written to a connection.
func rawRequest(body []byte) []byte {
	head := "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}

// rawEvents are requests of perRequest events each; event says what the i-th is.
func rawEvents(requests, perRequest int, event func(i int) string) [][]byte {
	all := make([][]byte, requests)
	for r := range all {
		body := []byte{'['}
		for e := range perRequest {
			if e > 0 {
				body = append(body, ',')
			}
			body = append(body, event(r*perRequest+e)...)
		}
		all[r] = rawRequest(append(body, ']'))
	}
	return all
}
