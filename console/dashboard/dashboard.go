// Package dashboard keeps dashboards: tiles over sources and over questions to the ledger, saved by name, each with a token of its own
// that opens it and nothing else. It decides which figures a tile shows, and no figure itself: package source answers.
package dashboard

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/console/source"
)

// Bounds of dashboards.
const (
	mostTiles      = 40
	mostDashboards = 200
	mostBytes      = 128 << 10 // of one, in JSON
	mostTitle      = 200       // bytes
	mostWidth      = 4         // columns of the grid
)

// Dashboard is tiles, and the range that they begin with. It is immutable once it is in a Store.
type Dashboard struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Range    string `json:"range,omitempty"`    // since, such as 30d or month; empty: 30d
	Timezone string `json:"timezone,omitempty"` // empty: UTC
	Compare  bool   `json:"compare,omitempty"`  // with the range before
	Tiles    []Tile `json:"tiles"`
	// TokenSHA256 is the hash of the reader's token; empty: only operators can read it.
	TokenSHA256 string `json:"token_sha256,omitempty"`
}

// Tile is one picture.
type Tile struct {
	Title string `json:"title,omitempty"`
	Kind  string `json:"kind"` // of Kinds
	// Source is the name of a source; or Question has the fields of one that asks the ledger.
	Source   string          `json:"source,omitempty"`
	Question json.RawMessage `json:"question,omitempty"`
	Label    string          `json:"label,omitempty"` // the column of times or names; empty: the first that is
	Value    string          `json:"value,omitempty"` // the column of figures; empty: the first that is
	Max      float64         `json:"max,omitempty"`   // of a gauge; 0: 100
	Width    int             `json:"width,omitempty"` // 1 to 4 columns; 0: 2

	asked *source.Source // of Question
}

// Kinds are the kinds of tiles.
var Kinds = []string{"line", "bar", "share", "top", "gauge", "figure", "table", "heat-map"}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Read reads a dashboard from JSON and checks it. Unknown fields are refused; the error names what is wrong. Whether its sources
// exist is not checked: they may come later.
func Read(text []byte) (*Dashboard, error) {
	if len(text) > mostBytes {
		return nil, fmt.Errorf("dashboard: more than %d bytes", mostBytes)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	b := &Dashboard{}
	if err := d.Decode(b); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("dashboard: expected one JSON object")
	}
	return b, b.check()
}

func (d *Dashboard) check() error {
	digest, err := hex.DecodeString(d.TokenSHA256)
	switch {
	case !namePattern.MatchString(d.Name):
		return fmt.Errorf("dashboard: name: %q: expected 1 to 63 lower-case letters, digits, - and _", d.Name)
	case len(d.Title) > mostTitle:
		return fmt.Errorf("dashboard: title: expected at most %d bytes", mostTitle)
	case len(d.Tiles) > mostTiles:
		return fmt.Errorf("dashboard: tiles: expected at most %d", mostTiles)
	case err != nil || len(digest) != 0 && len(digest) != 32:
		return errors.New("dashboard: token_sha256: expected 64 hexadecimal digits")
	}
	if d.Tiles == nil {
		d.Tiles = []Tile{} // [] and not null
	}
	if _, err := probe.Within(source.Range{Since: d.Range, Timezone: d.Timezone}); err != nil {
		return fmt.Errorf("dashboard: range: %s", strings.TrimPrefix(err.Error(), "source: range: "))
	}
	for i := range d.Tiles {
		if err := d.Tiles[i].check(); err != nil {
			return fmt.Errorf("dashboard: tiles[%d]%w", i, err)
		}
	}
	return nil
}

// probe is a question with a range, by which ranges are checked.
var probe = mustAsk(`{"name":"probe","question":"deliveries"}`)

func mustAsk(text string) *source.Source {
	s, err := ask([]byte(text))
	if err != nil {
		panic(err) // the text is ours
	}
	return s
}

// ask reads a question.
func ask(text []byte) (*source.Source, error) {
	draft, err := source.ReadDraft(text)
	if err != nil {
		return nil, err
	}
	draft.Set("name", "tile")
	return draft.Source()
}

func (t *Tile) check() error {
	switch {
	case !slices.Contains(Kinds, t.Kind):
		return fmt.Errorf(".kind: %q: expected one of %s", t.Kind, strings.Join(Kinds, ", "))
	case len(t.Title) > mostTitle:
		return fmt.Errorf(".title: expected at most %d bytes", mostTitle)
	case t.Width < 0 || t.Width > mostWidth:
		return fmt.Errorf(".width: %d: expected 1 to %d", t.Width, mostWidth)
	case t.Max < 0:
		return fmt.Errorf(".max: %v: expected a number above 0", t.Max)
	case (t.Source == "") == (len(t.Question) == 0):
		return errors.New(".source: expected the name of a source, or a question")
	case t.Source != "" && !namePattern.MatchString(t.Source):
		return fmt.Errorf(".source: %q: expected the name of a source", t.Source)
	case t.Source != "":
		return nil
	}
	s, err := ask(t.Question)
	if err != nil {
		return fmt.Errorf(".question: %w", err)
	}
	if s.From != source.Ledger || s.AsksPortal() {
		return errors.New(".question: expected one that the ledger answers: what asks 3scale has to be a source, which is asked once for all readers")
	}
	t.asked = s
	return nil
}
