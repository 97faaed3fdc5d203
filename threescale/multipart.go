package threescale

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
)

// readMultipart reads a multipart/form-data body part by part, by the caps of an urlencoded one: parts
// count as parameters. A part with a file name becomes a hash, which no check further on mistakes for
// a text.
func (o ReadOptions) readMultipart(r *http.Request) (*node, error) {
	p := newParamReader(o.Lenient)
	if r.Body == nil {
		return p.root, nil
	}
	counter := &countingReader{r: capped(r.Body, o.MaxBytes)}
	parts, err := multipartReader(r, counter)
	if err != nil {
		return nil, badMultipart()
	}
	for n := 1; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return p.root, nil
		}
		if err == nil && n > o.MaxParams {
			return nil, TooManyParams(n, o.MaxParams)
		}
		if err == nil {
			err = p.readPart(part)
		}
		if err != nil {
			return nil, o.multipartError(err, counter)
		}
	}
}

func multipartReader(r *http.Request, body io.Reader) (*multipart.Reader, error) {
	clone := &http.Request{Method: r.Method, Header: r.Header, Body: io.NopCloser(body)}
	return clone.MultipartReader()
}

func (p *paramReader) readPart(part *multipart.Part) error {
	text, err := io.ReadAll(part)
	if err != nil {
		return fmt.Errorf("part: %w", err)
	}
	if part.FormName() == "" {
		return nil
	}
	value := &node{kind: String, text: string(text)}
	if name := part.FileName(); name != "" {
		file := &node{kind: Hash}
		file.set("filename", &node{kind: String, text: name})
		value = file
	}
	return p.add(part.FormName(), value)
}

func (o ReadOptions) multipartError(err error, read *countingReader) error {
	switch {
	case read.n > o.MaxBytes:
		return TooManyBytes(o.MaxBytes)
	case read.err != nil && !errors.Is(read.err, io.EOF):
		return fmt.Errorf("threescale: read body: %w", read.err)
	case errors.Is(err, errNesting), errors.Is(err, errTextAndTree), errors.Is(err, errArrayAndHash):
		return refuse(err, true)
	}
	return badMultipart()
}

func badMultipart() *Error { return refusal(400, CodeBadRequest, "bad content body") }

// countingReader remembers how much was read and what ended it.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}
