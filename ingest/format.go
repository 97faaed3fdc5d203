package ingest

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
)

// bodyFormat is how events stand in a body.
type bodyFormat uint8

const (
	formatJSON       bodyFormat = iota // an event, or an array of events
	formatLines                        // one event a line
	formatCloudEvent                   // a CloudEvent
	formatCloudBatch                   // an array of CloudEvents
	formatForm                         // JSON that says it is a form: curl's default
)

var errContentType = errors.New("the Content-Type must be application/json or application/x-ndjson, or one of CloudEvents in JSON")

// format returns what a content type means. No content type means JSON.
func format(contentType string) (bodyFormat, error) {
	switch contentType { // the usual ones, without an allocation
	case "application/json", "":
		return formatJSON, nil
	case "application/x-ndjson":
		return formatLines, nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err == nil && charset != "" && !strings.EqualFold(charset, "utf-8") {
		return 0, errors.New("the charset must be UTF-8")
	}
	switch media {
	case "application/json":
		return formatJSON, nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return formatLines, nil
	case cloudEventType:
		return formatCloudEvent, nil
	case cloudBatchType:
		return formatCloudBatch, nil
	case "application/x-www-form-urlencoded":
		return formatForm, nil
	}
	return 0, errContentType
}

// header is Header.Get of a name in its canonical form, without the time that converting it takes.
func header(r *http.Request, canonical string) string {
	if values := r.Header[canonical]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// byteOrderMark is what some editors and libraries write in front of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// prepare returns a body as the decoder reads it: without a byte order mark, and with events in place of CloudEvents. header returns
// a header of the message; nil: it has none that matter.
func prepare(body []byte, f bodyFormat, header func(name string) string) ([]byte, problem) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if header != nil {
		if c, ok := cloudHeaders(header); ok && f == formatJSON {
			return binaryCloudEvent(c, body)
		} else if ok && f == formatLines {
			return nil, problem{Status: http.StatusUnsupportedMediaType, Detail: "the data of a CloudEvent must be application/json"}
		}
	}
	switch i := space(body, 0); {
	case f == formatCloudEvent:
		return native(body, false)
	case f == formatCloudBatch:
		return native(body, true)
	case f == formatForm && (i == len(body) || body[i] != '{' && body[i] != '['):
		return nil, problem{Status: http.StatusUnsupportedMediaType, Detail: errContentType.Error()}
	}
	return body, problem{}
}
