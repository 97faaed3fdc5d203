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

// maxFile is how large a file of tokens may be, in bytes: some ten thousand tokens.
const maxFile = 4 << 20

// Tokens are the tokens of one file, and those that were added beside it. All methods may be called
// concurrently; a nil *Tokens asks nobody and allows everything.
type Tokens struct {
	file    string
	kind    Kind
	beside  []*Grant
	rate    float64 // of producers whose entries name none
	current atomic.Pointer[grants]
}

// grants are found by the digest of their token. That a map does not compare in constant time tells
// nothing: nobody can choose a token by its digest.
type grants map[[sha256.Size]byte]*Grant

// Open reads a file of tokens. An empty name is the nil *Tokens.
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

// Reload reads the file again, and puts what it says in force at once and whole. On an error, which holds
// no secret, everything stays as it was. A request that comes in meanwhile is judged by the old or the new tokens.
func (t *Tokens) Reload() error {
	apply, err := t.Provision()
	if err == nil {
		apply()
	}
	return err
}

// Provision reads the file again without putting it in force; apply does that, and cannot fail. Several files can so be
// checked before any of them counts. An error holds no secret.
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
	known := make(grants, len(list)+len(t.beside))
	for _, g := range append(list, t.beside...) {
		if t.kind == Producers {
			g.limit(t.rate)
		}
		known[g.digest] = g
	}
	t.current.Store(&known)
}

// Add lets a token in that stands in no file, for as long as the process lives. It is for the time before
// anybody asks.
func (t *Tokens) Add(token string, g Grant) {
	if t == nil {
		return
	}
	g.digest = sha256.Sum256([]byte(token))
	t.beside = append(t.beside, &g)
	known := make(grants, len(*t.current.Load())+1)
	for digest, other := range *t.current.Load() {
		known[digest] = other
	}
	known[g.digest] = &g
	t.current.Store(&known)
}

// Len is how many tokens are known, those past their time included.
func (t *Tokens) Len() int {
	if t == nil {
		return 0
	}
	return len(*t.current.Load())
}

// Find returns what a token is good for: the nil Grant when nobody is asked, otherwise a Grant or one of
// the errors of this package.
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
