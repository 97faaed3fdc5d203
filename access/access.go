// Package access decides who may do what, and how much of it: bearer tokens with their scopes and
// services, rates of producers, TLS certificates that can be replaced while they are in use, and which
// connections have to go when there are too many.
//
// A token is 256 random bits. Its file holds the SHA-256 of it: whoever reads the file cannot send, and a
// hash made to be slow would protect nothing that cannot be guessed in the first place.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// What a token of an operator may be good for.
const (
	Read              = "read"               // see everything the console shows
	Write             = "write"              // change something: flush, reload, requeue, drop; includes Read
	Stats             = "stats"              // 3scale's Analytics API
	AccountManagement = "account_management" // 3scale's Account Management API
)

// Scopes are all there are.
var Scopes = []string{Read, Write, Stats, AccountManagement}

// AnyService among the services of a Grant stands for all of them, also those configured later.
const AnyService = "*"

// Why a caller was not let in. None of them repeats the token.
var (
	ErrNoToken      = errors.New("a bearer token is needed: send Authorization: Bearer TOKEN")
	ErrUnknownToken = errors.New("the token is not known here")
	ErrExpired      = errors.New("the token has expired")
)

// Grant is what one token is good for. It does not change; a reload makes new ones.
type Grant struct {
	Name     string    // who holds the token, for logs and metrics
	Services []string  // of a producer: whose events it may send; of an operator: whose figures it may see, none for all
	Scopes   []string  // of an operator
	Expires  time.Time // zero: never
	Rate     float64   // events a second; 0: as the configuration says for all

	digest   [sha256.Size]byte
	services map[string]bool // nil: any
	bucket   *rate.Limiter   // nil: no bound
}

// Serves reports whether the holder may send events of a service, or see its figures. A nil Grant may: nobody is asked.
func (g *Grant) Serves(serviceID string) bool {
	return g == nil || g.services == nil || g.services[serviceID]
}

// May reports whether the holder may do what needs scope. A nil Grant may everything.
func (g *Grant) May(scope string) bool {
	return g == nil || scope == "" || slices.Contains(g.Scopes, scope) || scope == Read && slices.Contains(g.Scopes, Write)
}

// valid reports whether digest is this grant's at the moment now. The comparison takes the same time
// wherever they differ.
func (g *Grant) valid(digest [sha256.Size]byte, now time.Time) error {
	switch {
	case subtle.ConstantTimeCompare(g.digest[:], digest[:]) != 1:
		return ErrUnknownToken
	case !g.Expires.IsZero() && !now.Before(g.Expires):
		return ErrExpired
	}
	return nil
}

type grantKey struct{}

// With returns a context that says who asks.
func With(ctx context.Context, g *Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// From returns who asks; nil where nobody was asked.
func From(ctx context.Context) *Grant {
	g, _ := ctx.Value(grantKey{}).(*Grant)
	return g
}
