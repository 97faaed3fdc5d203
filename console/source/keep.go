package source

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/durable"
)

// mostKept bounds a file of an answer in bytes.
const mostKept = 2*mostBytes + 64<<20

// kept is the file of an answer: DIR/NAME.json.
type kept struct {
	Fingerprint string          `json:"fingerprint"` // of the question
	AsOf        time.Time       `json:"as_of"`
	Since       time.Time       `json:"since"`
	Until       time.Time       `json:"until"`
	Columns     []Column        `json:"columns"`
	Rows        [][]any         `json:"rows"`
	Original    json.RawMessage `json:"original,omitempty"`
}

// keep replaces the file of a source's answer. It returns nil once that is durable.
func keep(dir string, s *Source, r *Result) error {
	text, err := json.Marshal(kept{s.fingerprint(), r.AsOf, r.Since, r.Until, r.Columns, r.Rows, r.original})
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, s.Name+".json"), text, 0o600)
}

// recall reads the answer of before a restart; nil: there is none, or it answers another question.
func recall(dir string, s *Source) *Result {
	name := filepath.Join(dir, s.Name+".json")
	info, err := os.Stat(name)
	if err != nil || info.Size() > mostKept {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var k kept
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if d.Decode(&k) != nil || k.Fingerprint != s.fingerprint() {
		return nil
	}
	r := &Result{AsOf: k.AsOf, Since: k.Since, Until: k.Until, Table: &Table{k.Columns, k.Rows}, original: k.Original}
	for _, row := range r.Rows {
		if len(row) != len(r.Columns) {
			return nil
		}
	}
	return r
}

// keptFor is how long the answer of a source is kept that is not in the file any more: it may have been removed by mistake.
const keptFor = 30 * 24 * time.Hour

// forget removes the files of sources that have not been there for a month.
func forget(dir string, list []*Source) {
	names := make(map[string]bool)
	for _, s := range list {
		names[s.Name+".json"] = true
	}
	files, _ := os.ReadDir(dir) // none without a directory
	for _, f := range files {
		info, err := f.Info()
		if err == nil && strings.HasSuffix(f.Name(), ".json") && !names[f.Name()] && time.Since(info.ModTime()) > keptFor {
			_ = os.Remove(filepath.Join(dir, f.Name())) // tried again at the next reload
		}
	}
}
