package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// maxFile bounds a file of tokens, in bytes: some ten thousand tokens.
const maxFile = 4 << 20

// Tokens are the tokens of one file, and those of Add. All methods may be called concurrently. A nil *Tokens means that no token
// is needed, and allows everything.
type Tokens struct {
	file    string
	kind    Kind
	added   []*Grant
	rate    float64 // events a second, of producers whose entries have no rate
	current atomic.Pointer[grants]
}

// grants maps the digest of a token to its grant. The lookup does not take constant time, which reveals nothing: a caller cannot
// choose a token by its digest.
type grants map[[sha256.Size]byte]*Grant

// Open reads a file of tokens. For an empty name it returns the nil *Tokens.
func Open(file string, kind Kind) (*Tokens, error) {
	if file == "" {
		return nil, nil
	}
	t := &Tokens{file: file, kind: kind}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// Reload reads the file again, and replaces all tokens at once. On an error, which contains no secret, the tokens stay as they
// were. A request that arrives meanwhile is checked against the old or the new tokens.
func (t *Tokens) Reload() error {
	apply, err := t.Provision()
	if err == nil {
		apply()
	}
	return err
}

// Provision reads the file again without putting it in force; apply does that, and cannot fail. Several files can so be
// checked before any of them is put in force. An error contains no secret.
func (t *Tokens) Provision() (apply func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	list, err := readFile(t.file, t.kind)
	if err != nil {
		return nil, err
	}
	return func() { t.replace(list) }, nil
}

func (t *Tokens) replace(list []*Grant) {
	known := make(grants, len(list)+len(t.added))
	for _, g := range append(list, t.added...) {
		if t.kind == Producers {
			g.limit(t.rate)
		}
		known[g.digest] = g
	}
	t.current.Store(&known)
}

// Add adds a token that is in no file, for the lifetime of the process. It must be called before the first Find.
func (t *Tokens) Add(token string, g Grant) {
	if t == nil {
		return
	}
	g.digest = sha256.Sum256([]byte(token))
	t.added = append(t.added, &g)
	known := make(grants, len(*t.current.Load())+1)
	for digest, other := range *t.current.Load() {
		known[digest] = other
	}
	known[g.digest] = &g
	t.current.Store(&known)
}

// Len is the number of tokens, expired ones included.
func (t *Tokens) Len() int {
	if t == nil {
		return 0
	}
	return len(*t.current.Load())
}

// Find returns the grant of a token, or one of the errors of this package. Where no token is needed it returns the nil Grant.
func (t *Tokens) Find(token string) (*Grant, error) {
	switch {
	case t == nil:
		return nil, nil
	case token == "":
		return nil, ErrNoToken
	}
	digest := sha256.Sum256([]byte(token))
	g := (*t.current.Load())[digest]
	if g == nil {
		return nil, ErrUnknownToken
	}
	if err := g.valid(digest, time.Now()); err != nil {
		return nil, err
	}
	return g, nil
}

func readFile(name string, kind Kind) ([]*Grant, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("access: tokens: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	var list []*Grant
	if err == nil {
		list, err = Parse(text, kind)
	}
	var mistake *Mistake
	if errors.As(err, &mistake) {
		return nil, fmt.Errorf("%s:%d: %s", name, mistake.Line, mistake.Reason)
	}
	if err != nil {
		return nil, fmt.Errorf("access: tokens: %s: %w", name, err)
	}
	return list, nil
}
