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

// grants are found by the digest of their token, and by their name. The lookup of a digest does not take constant time, which
// reveals nothing: a caller cannot choose a token by its digest.
type grants struct {
	byDigest map[[sha256.Size]byte]*Grant
	byName   map[string]*Grant
}

func newGrants(lists ...[]*Grant) *grants {
	all := &grants{byDigest: make(map[[sha256.Size]byte]*Grant), byName: make(map[string]*Grant)}
	for _, list := range lists {
		for _, g := range list {
			all.byDigest[g.digest], all.byName[g.Name] = g, g
		}
	}
	return all
}

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

// Closed returns tokens of no file: only those of Add are known.
func Closed(kind Kind) *Tokens {
	t := &Tokens{kind: kind}
	t.replace(nil)
	return t
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
	if t == nil || t.file == "" {
		return func() {}, nil
	}
	list, err := readFile(t.file, t.kind)
	if err != nil {
		return nil, err
	}
	return func() { t.replace(list) }, nil
}

func (t *Tokens) replace(list []*Grant) {
	if t.kind == Producers {
		for _, g := range list {
			g.limit(t.rate)
		}
	}
	t.current.Store(newGrants(list, t.added))
}

// Add adds a token that is in no file, for the lifetime of the process. It must be called before the first Find.
func (t *Tokens) Add(token string, g Grant) {
	if t == nil {
		return
	}
	g.digest = sha256.Sum256([]byte(token))
	t.added = append(t.added, &g)
	all := []*Grant{&g}
	for _, other := range t.current.Load().byDigest {
		all = append(all, other)
	}
	t.current.Store(newGrants(all))
}

// Len is the number of tokens, expired ones included.
func (t *Tokens) Len() int {
	if t == nil {
		return 0
	}
	return len(t.current.Load().byDigest)
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
	g := t.current.Load().byDigest[digest]
	if g == nil {
		return nil, ErrUnknownToken
	}
	if err := g.valid(digest, time.Now()); err != nil {
		return nil, err
	}
	return g, nil
}

// Named returns the grant of the holder with a name, or one of the errors of this package; the nil Grant where no token is needed.
// It is for a caller that has shown its token to another server, which passes on the name.
func (t *Tokens) Named(name string) (*Grant, error) {
	if t == nil {
		return nil, nil
	}
	g := t.current.Load().byName[name]
	if g == nil {
		return nil, ErrUnknownToken
	}
	return g, g.valid(g.digest, time.Now())
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
