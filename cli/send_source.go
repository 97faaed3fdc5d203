package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// What ids events without one get.
const (
	idsContent = "content"
	idsRandom  = "random"
	idsOwn     = "own"
)

// eventSource reads events from a file. It is for one goroutine.
type eventSource struct {
	name  string // for messages
	from  io.Reader
	size  int64 // bytes of the file; 0: unknown
	count atomic.Int64
	read  *json.Decoder
	array bool // the events are in an array
	ids   string
	run   string // of random ids
	n     int    // events read
}

// sourceEvent is an event, as one line of JSON, and the id that it was given; empty: it has its own, or none.
type sourceEvent struct {
	line []byte
	id   string
}

// newEventSource begins to read. The reader is closed with the source, if it can be.
func newEventSource(name string, from io.Reader, size int64, ids string) (*eventSource, error) {
	s := &eventSource{name: name, from: from, size: size, ids: ids, run: rand.Text()[:16]}
	in := bufio.NewReader(&countingReader{from, &s.count})
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		expanded, err := gzip.NewReader(in)
		if err != nil {
			return nil, failed(fmt.Errorf("%s: %w", name, err))
		}
		in = bufio.NewReader(expanded)
	}
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = in.Discard(3) // it was peeked
	}
	first, err := firstLetter(in)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, failed(fmt.Errorf("%s: %w", name, err))
	}
	s.read, s.array = json.NewDecoder(in), first == '['
	if s.array {
		_, err = s.read.Token()
		return s, err
	}
	return s, nil
}

// firstLetter skips white space, and returns what follows it without reading it.
func firstLetter(in *bufio.Reader) (byte, error) {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, in.UnreadByte()
		}
	}
}

// next returns the next event; io.EOF at the end.
func (s *eventSource) next() (e sourceEvent, err error) {
	if s.array && !s.read.More() {
		if _, err := s.read.Token(); err != nil { // the closing bracket
			return e, s.broken(err)
		}
		return e, io.EOF
	}
	var raw json.RawMessage
	if err := s.read.Decode(&raw); err != nil {
		if errors.Is(err, io.EOF) && !s.array {
			return e, io.EOF
		}
		return e, s.broken(err)
	}
	var line bytes.Buffer
	_ = json.Compact(&line, raw) // it is JSON
	var has struct{ ID json.RawMessage }
	if line.Bytes()[0] != '{' || json.Unmarshal(raw, &has) != nil {
		return e, s.broken(errors.New("it is no object"))
	}
	s.n++
	e.line = line.Bytes()
	if has.ID == nil && s.ids != idsOwn {
		e.id = s.makeID(e.line)
		rest := e.line[1:]
		if len(rest) > 1 {
			rest = append([]byte(","), rest...)
		}
		e.line = append([]byte(`{"id":"`+e.id+`"`), rest...)
	}
	return e, nil
}

// makeID is an id for the event that was read last.
func (s *eventSource) makeID(line []byte) string {
	if s.ids == idsRandom {
		return fmt.Sprintf("send-%s-%d", s.run, s.n)
	}
	sum := sha256.Sum256(line)
	return fmt.Sprintf("send-%s-%d", hex.EncodeToString(sum[:12]), s.n)
}

// broken is an error that names the event.
func (s *eventSource) broken(err error) error {
	return fmt.Errorf("event %d: %w: expected JSON objects", s.n+1, err)
}

// progress is how many bytes of the file were read.
func (s *eventSource) progress() int64 { return s.count.Load() }

func (s *eventSource) close() {
	if c, ok := s.from.(io.Closer); ok {
		_ = c.Close() // nothing was written
	}
}

// countingReader counts what is read through it.
type countingReader struct {
	io.Reader
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// marshalled is a value as JSON; it is one that can be.
func marshalled(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
