package threescale

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// readMultipart reads a multipart/form-data body by the caps of an urlencoded one: parts count as
// parameters.
func (o ReadOptions) readMultipart(contentType, body string) (*node, error) {
	p := newParamReader(o.Lenient)
	if body == "" {
		return p.root, nil
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, badMultipart()
	}
	if !strings.Contains(body, "--"+params["boundary"]+"--") {
		return nil, badMultipart() // cut short; the reader below does not always notice
	}
	parts := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for n := 1; ; n++ {
		part, err := parts.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return p.root, nil
		case err != nil:
			return nil, badMultipart()
		case n > o.MaxParams:
			return nil, TooManyParams(n, o.MaxParams)
		}
		if err := p.readPart(part); err != nil {
			return nil, err
		}
	}
}

// readPart adds one part. One with a file name becomes a hash, which no check further on mistakes for a
// text; one without a name is skipped.
func (p *paramReader) readPart(part *multipart.Part) error {
	text, err := io.ReadAll(part)
	if err != nil {
		return badMultipart()
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
	if err := p.add(part.FormName(), value); err != nil {
		return refuse(err, true)
	}
	return nil
}

// badMultipart is the answer to a body that is not what its content type says (no recording: the words
// are Rack's).
func badMultipart() *Error { return refusal(400, CodeBadRequest, "bad content body") }
