package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/reporterd/reporterd/internal/spreadsheet"
)

// mostBytes bounds an encoded answer.
const mostBytes = 32 << 20

var errTooLong = fmt.Errorf("source: the answer is longer than %d MiB: ask for less time, or one service", mostBytes>>20)

// encoded is a Result with its forms, which are made once.
type encoded struct {
	*Result
	lines [][]byte // each row as a JSON object
	tag   string   // of the rows
	csv   func() []byte
}

// encode makes the rows' JSON. The error says that they are too long.
func encode(r *Result) (*encoded, error) {
	e := &encoded{Result: r}
	h, size := sha256.New(), 0
	names := make([][]byte, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = marshal(c.Name)
		fmt.Fprintf(h, "%q%s", c.Name, c.Type)
	}
	for _, row := range r.Rows {
		line := []byte{'{'}
		for i, cell := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = append(append(append(line, names[i]...), ':'), marshal(cell)...)
		}
		line = append(line, '}')
		if size += len(line); size > mostBytes {
			return nil, errTooLong
		}
		h.Write(line)
		e.lines = append(e.lines, line)
	}
	h.Write(r.original)
	e.tag = hex.EncodeToString(h.Sum(nil)[:12])
	e.csv = sync.OnceValue(e.makeCSV)
	return e, nil
}

// marshal encodes a cell or a name. Neither can fail.
func marshal(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

// makeCSV has a header and RFC 3339 times. No cell is a formula to a spreadsheet.
func (e *encoded) makeCSV() []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	line := make([]string, len(e.Columns))
	for i, c := range e.Columns {
		line[i] = spreadsheet.Text(c.Name)
	}
	_ = w.Write(line) // a buffer does not fail
	for _, row := range e.Rows {
		for i, cell := range row {
			line[i] = ""
			if text, ok := cell.(string); ok {
				line[i] = spreadsheet.Text(text)
			} else if cell != nil {
				line[i] = string(marshal(cell))
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return out.Bytes()
}

// ndjson has a row on each line.
func (e *encoded) ndjson() []byte {
	var out bytes.Buffer
	for _, line := range e.lines {
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// head is what an answer in JSON says beside its rows.
type head struct {
	Name       string   `json:"name"`
	Question   string   `json:"question"`
	From       From     `json:"from"`
	AsOf       string   `json:"as_of"`
	AgeSeconds int64    `json:"age_seconds"`
	Stale      bool     `json:"stale"`
	Reason     string   `json:"reason,omitempty"` // why it is stale
	Since      string   `json:"since,omitempty"`
	Until      string   `json:"until,omitempty"` // exclusive
	Timezone   string   `json:"timezone"`
	Columns    []Column `json:"columns"`
}

// json is the whole answer.
func (e *encoded) json(s *Source, state State) []byte {
	if e.original != nil {
		return e.original
	}
	h := head{
		Name: s.Name, Question: s.String(), From: s.From, AsOf: stamp(e.AsOf), AgeSeconds: state.AgeSeconds, Stale: state.Stale,
		Reason: state.Reason, Since: stamp(e.Since), Until: stamp(e.Until), Timezone: s.Timezone, Columns: e.Columns,
	}
	if h.Columns == nil {
		h.Columns = []Column{}
	}
	var out bytes.Buffer
	out.Write(bytes.TrimSuffix(marshal(h), []byte("}")))
	out.WriteString(`,"rows":[`)
	for i, line := range e.lines {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n")
		out.Write(line)
	}
	out.WriteString("]}\n")
	return out.Bytes()
}

// stamp is a time in RFC 3339; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
