// Package recording reads the recordings of the real backend that lie in the testdata of package
// threescale. Only tests import it.
package recording

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Recording is one exchange with the real backend, as it was on the wire.
type Recording struct {
	Name     string    // of the file, without .txt
	Comments []string  // without the leading #
	Recorded time.Time // when; the backend's clock, to the second

	Request []byte // head and body; shortened bodies made whole again
	Method  string
	Target  string // path and query as sent
	Header  http.Header
	Body    []byte

	Status       int
	AnswerHeader http.Header
	AnswerBody   []byte

	Worked      bool   // there is a part after the worker
	AfterWorker string // that part
}

const (
	requestMark = "===== REQUEST\n"
	answerMark  = "===== RESPONSE\n"
	workerMark  = "===== AFTER WORKER\n"
)

// Load reads every exchange in dir, in the order of their names. Files that are not exchanges (results
// and vectors) are left out.
func Load(dir string) ([]*Recording, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("recording: none in %s", dir)
	}
	var list []*Recording
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		if !bytes.Contains(text, []byte(requestMark)) {
			continue
		}
		r, err := parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("recording %s: %w", name, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// ByName finds one recording of a list; nil if there is none.
func ByName(list []*Recording, name string) *Recording {
	for _, r := range list {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// NewRequest returns the request as a server gets it from net/http.
func (r *Recording) NewRequest() (*http.Request, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Request)))
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", r.Name, err)
	}
	return req, nil
}

func parse(name, text string) (*Recording, error) {
	r := &Recording{Name: name}
	comments, rest, _ := strings.Cut(text, requestMark)
	r.readComments(comments)
	request, answer, ok := strings.Cut(rest, answerMark)
	if !ok {
		return nil, fmt.Errorf("no answer")
	}
	answer, r.AfterWorker, r.Worked = strings.Cut(answer, workerMark)
	if err := r.readRequest(request); err != nil {
		return nil, err
	}
	return r, r.readAnswer(answer)
}

func (r *Recording) readComments(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		r.Comments = append(r.Comments, line)
		if moment, ok := strings.CutPrefix(line, "recorded "); ok {
			moment, _, _ = strings.Cut(moment, ",")
			r.Recorded, _ = time.Parse(time.RFC3339, moment)
		}
	}
}

func (r *Recording) readRequest(text string) error {
	line, header, body, err := splitMessage(text)
	if err != nil {
		return err
	}
	r.Header = header
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 {
		return fmt.Errorf("request line %q", line)
	}
	r.Method, r.Target = parts[0], parts[1]
	if r.Body, err = r.whole(body); err != nil {
		return err
	}
	r.Request = wire(line, header, r.Body)
	return nil
}

func (r *Recording) readAnswer(text string) error {
	line, header, body, err := splitMessage(text)
	if err != nil {
		return err
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 2 {
		return fmt.Errorf("status line %q", line)
	}
	if r.Status, err = strconv.Atoi(parts[1]); err != nil {
		return fmt.Errorf("status line %q", line)
	}
	r.AnswerHeader = header
	length, _ := strconv.Atoi(header.Get("Content-Length"))
	if r.Method != http.MethodHead {
		if length > len(body) {
			return fmt.Errorf("answer of %d bytes, %d announced", len(body), length)
		}
		r.AnswerBody = []byte(body[:length])
	}
	return nil
}

// splitMessage parts first line, header and the rest, in which a line feed follows the body.
func splitMessage(text string) (line string, header http.Header, body string, err error) {
	head, body, ok := strings.Cut(text, "\n\n")
	if !ok {
		return "", nil, "", fmt.Errorf("no empty line behind the head")
	}
	line, rest, _ := strings.Cut(head, "\n")
	header = http.Header{}
	for field := range strings.Lines(rest) {
		name, value, ok := strings.Cut(strings.TrimSuffix(field, "\n"), ": ")
		if !ok {
			return "", nil, "", fmt.Errorf("header line %q", field)
		}
		header.Add(name, value)
	}
	return line, header, body, nil
}

// wire writes a message with CRLF in its head.
func wire(line string, header http.Header, body []byte) []byte {
	var b bytes.Buffer
	b.WriteString(line + "\r\n")
	_ = header.Write(&b)
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
