package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// The media types of CloudEvents 1.0 in structured mode: one event, or an array of events (CloudEvents JSON format, sections 3
// and 4).
const (
	cloudEventType = "application/cloudevents+json"
	cloudBatchType = "application/cloudevents-batch+json"
)

// cloudEvent is the envelope of a CloudEvent. Attributes that are not used are ignored, as are extensions.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Time        string          `json:"time"`
	Data        json.RawMessage `json:"data"`
	Base64      string          `json:"data_base64"`
}

// cloudHeaders are the attributes of a CloudEvent in binary mode, where they are headers and the payload is the data. get returns a
// header; its name begins with "ce-". ok is false for a message that is no CloudEvent.
func cloudHeaders(get func(name string) string) (c cloudEvent, ok bool) {
	c = cloudEvent{SpecVersion: get("ce-specversion"), ID: get("ce-id"), Source: get("ce-source"), Type: get("ce-type"), Time: get("ce-time")}
	return c, c.SpecVersion != ""
}

// check returns what is wrong with the envelope, as a field and a detail.
func (c *cloudEvent) check() (field, detail string) {
	for _, a := range [...]struct{ name, value string }{{"specversion", c.SpecVersion}, {"id", c.ID}, {"source", c.Source}, {"type", c.Type}} {
		if a.value == "" {
			return a.name, "is required in a CloudEvent"
		}
	}
	if !strings.HasPrefix(c.SpecVersion, "1.") {
		return "specversion", "must be 1.0"
	}
	if _, err := c.unix(); err != nil {
		return "time", "must be RFC 3339, such as 2026-11-21T19:37:05Z"
	}
	return "", ""
}

// unix is the time of the event in Unix seconds; 0: it has none.
func (c *cloudEvent) unix() (int64, error) {
	if c.Time == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, normalDate(c.Time))
	return t.Unix(), err
}

// eventID is the id of the event: source and id together identify a CloudEvent (section 3.1.1 of the specification). No source has a
// blank, so that the two cannot be confused. Where both are longer than an id may be, it is their hash.
func (c *cloudEvent) eventID() string {
	id := c.Source + " " + c.ID
	if threescale.TooLong(id) {
		sum := sha256.Sum256([]byte(id))
		id = "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}

// native rewrites CloudEvents in structured mode as an array of events. Problems name the CloudEvent by its index.
func native(body []byte, batch bool) (events []byte, p problem) {
	var all []cloudEvent
	var err error
	if batch {
		err = json.Unmarshal(body, &all)
	} else {
		all = make([]cloudEvent, 1)
		err = json.Unmarshal(body, &all[0])
	}
	if err != nil {
		return nil, problem{Status: http.StatusBadRequest, Detail: "not CloudEvents in JSON: " + err.Error()}
	}
	events = append(make([]byte, 0, len(body)), '[')
	for i := range all {
		if events, p = all[i].appendNative(events, i); p.Status != 0 {
			return nil, p
		}
	}
	return append(events, ']'), problem{}
}

// binaryCloudEvent rewrites a CloudEvent in binary mode as an array of events.
func binaryCloudEvent(c cloudEvent, data []byte) ([]byte, problem) {
	c.Data = data
	if len(data) > 0 && !json.Valid(data) {
		return data, problem{} // the decoder says where it is wrong
	}
	events, p := c.appendNative([]byte{'['}, 0)
	return append(events, ']'), p
}

// appendNative appends the data of one CloudEvent, an event or an array of them, with its id and time.
func (c *cloudEvent) appendNative(dst []byte, index int) ([]byte, problem) {
	field, detail := c.check()
	data := []byte(c.Data)
	if field == "" && c.Base64 != "" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(c.Base64); err != nil || !json.Valid(data) {
			field, detail = "data_base64", "must be JSON in base64"
		}
	}
	if field == "" && len(data) == 0 {
		field, detail = "data", "is required: it is the usage event"
	}
	if field != "" {
		return nil, problem{
			Status: http.StatusUnprocessableEntity, Detail: "a CloudEvent cannot be taken; nothing was kept",
			Errors: []Fault{{Index: index, Field: field, Detail: detail}}, Total: 1,
		}
	}
	parts := []json.RawMessage{data}
	if data[space(data, 0)] == '[' {
		_ = json.Unmarshal(data, &parts) // it is valid
	}
	for i, part := range parts {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		id := c.eventID()
		if len(parts) > 1 {
			id += "/" + strconv.Itoa(i)
		}
		dst = c.appendEvent(dst, part, id)
	}
	return dst, problem{}
}

// appendEvent appends one event. What it says itself counts more than what its envelope says.
func (c *cloudEvent) appendEvent(dst []byte, event json.RawMessage, id string) []byte {
	event = bytes.TrimLeft(event, " \t\r\n")
	if event[0] != '{' {
		return append(dst, event...) // refused by the decoder, which says why
	}
	own := map[string]bool{}
	entries(event, func(name string, value json.RawMessage) bool {
		own[name] = own[name] || kind(value) != "null"
		return true
	})
	dst = append(dst, '{')
	if !own["id"] {
		quoted, _ := json.Marshal(id) // a string can be marshalled
		dst = append(append(append(dst, `"id":`...), quoted...), ',')
	}
	if at, _ := c.unix(); at != 0 && !own["timestamp"] {
		dst = fmt.Appendf(dst, `"timestamp":%d,`, at)
	}
	return appendFields(dst, event)
}

// appendFields appends the fields of an object that are not null, and its closing brace. dst ends with a brace or a comma.
func appendFields(dst []byte, object json.RawMessage) []byte {
	entries(object, func(name string, value json.RawMessage) bool {
		if kind(value) != "null" {
			quoted, _ := json.Marshal(name) // a string can be marshalled
			dst = append(append(append(append(dst, quoted...), ':'), value...), ',')
		}
		return true
	})
	return append(bytes.TrimSuffix(dst, []byte(",")), '}')
}
