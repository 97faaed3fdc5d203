// Package source keeps questions and their answers: a source is a question with a name, which is asked again every so often, of the
// ledger, of 3scale, or of both. Its last good answer is kept across restarts and served to dashboards and spreadsheets as a table,
// to whom shows the source's token.
//
// Questions are those of a short catalogue, or a GET of 3scale's Analytics and Account Management APIs. They are put to what
// answers them elsewhere: the admin API's own handlers and the portal's client. This package turns what comes back into columns and
// rows, and decides when to ask again.
//
// Only a whole and good answer replaces the one before. When 3scale fails, the last one is served, with its age and the reason.
package source

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"time"
)

// From says who answers a question.
type From string

// Who answers: the ledger, 3scale, or each of them, beside each other.
const (
	Ledger     From = "ledger"
	ThreeScale From = "3scale"
	Both       From = "both"
)

// The shapes of an answer in JSON: rows of named columns, or the answer of the API as it came.
const (
	shapeRows     = "rows"
	shapeOriginal = "original"
)

const (
	defaultRefresh = 15 * time.Minute
	leastRefresh   = 10 * time.Second
	leastPortal    = time.Minute // refresh of a source that asks 3scale
	mostRefresh    = 7 * 24 * time.Hour
	defaultSince   = "now-30d/d"
	defaultLimit   = 10
	mostLimit      = 1000
)

// Source is one question as the file has it. It is immutable.
type Source struct {
	Name        string            `json:"name"`
	Question    string            `json:"question,omitempty"` // of the catalogue; empty: Path is asked for
	Path        string            `json:"path,omitempty"`     // of the Analytics or Account Management API, with its query
	From        From              `json:"from"`
	Service     string            `json:"service,omitempty"`
	Application string            `json:"application,omitempty"`
	Metric      string            `json:"metric,omitempty"`
	Since       string            `json:"since,omitempty"`
	Until       string            `json:"until,omitempty"` // the hour, day or month that holds it is part of the range
	By          string            `json:"by,omitempty"`    // hour, day, month
	Timezone    string            `json:"timezone"`
	Limit       int               `json:"limit,omitempty"` // of top_applications
	Shape       string            `json:"shape"`
	Columns     map[string]string `json:"columns,omitempty"` // other names of columns
	Refresh     time.Duration     `json:"-"`

	digest  [sha256.Size]byte // of the reader's token
	readers bool              // there is one
	zone    *time.Location
}

// namePattern is what the name of a source must match: it is a part of an address and of the name of a file.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Opens reports whether a token opens the source. The comparison takes constant time.
func (s *Source) Opens(token string) bool {
	digest := sha256.Sum256([]byte(token))
	return s.readers && token != "" && subtle.ConstantTimeCompare(s.digest[:], digest[:]) == 1
}

// HasToken reports whether the source has a reader's token, without which only operators can read it.
func (s *Source) HasToken() bool { return s.readers }

// asksPortal reports whether 3scale is asked.
func (s *Source) asksPortal() bool {
	return s.From != Ledger || s.Question == "limits" || s.Question == "limit_utilisation"
}

// fingerprint identifies the question: an answer to another one is not an answer to this one.
func (s *Source) fingerprint() string {
	text, _ := json.Marshal(s) // plain fields: it cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
