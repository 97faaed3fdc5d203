// Package access authenticates and authorizes callers: bearer tokens with their scopes, services and rates, TLS certificates
// that can be replaced while they are in use, and limits on connections.
//
// A token is 256 random bits. Its file holds the SHA-256 of it, so reading the file does not allow sending. A slow hash would
// not add protection: 256 random bits cannot be guessed.
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

// The scopes of an operator's token.
const (
	Read              = "read"               // read everything the console shows
	Write             = "write"              // flush, reload, requeue, drop; includes Read
	Stats             = "stats"              // 3scale's Analytics API
	AccountManagement = "account_management" // 3scale's Account Management API
)

// Scopes are all scopes.
var Scopes = []string{Read, Write, Stats, AccountManagement}

// AnyService among the services of a Grant means all services, also those configured later.
const AnyService = "*"

// Why a caller is refused. No error contains the token.
var (
	ErrNoToken      = errors.New("a bearer token is needed: send Authorization: Bearer TOKEN")
	ErrUnknownToken = errors.New("the token is not known here")
	ErrExpired      = errors.New("the token has expired")
)

// Grant is what the holder of one token may do. It is immutable; a reload makes new ones.
type Grant struct {
	Name     string    // the holder of the token, for logs and metrics
	Services []string  // of a producer: those it may send events for; of an operator: those whose figures it may read, none for all
	Scopes   []string  // of an operator
	Expires  time.Time // zero: never
	Rate     float64   // events a second; 0: the configured default

	digest   [sha256.Size]byte
	services map[string]bool // nil: any
	bucket   *rate.Limiter   // nil: unlimited
}

// Serves reports whether the holder may send events for a service, or read its figures. A nil Grant, which means that no token
// is needed, may.
func (g *Grant) Serves(serviceID string) bool {
	return g == nil || g.services == nil || g.services[serviceID]
}

// May reports whether the holder has a scope. A nil Grant has all.
func (g *Grant) May(scope string) bool {
	return g == nil || scope == "" || slices.Contains(g.Scopes, scope) || scope == Read && slices.Contains(g.Scopes, Write)
}

// valid returns an error unless digest is the grant's and the grant has not expired at now. The comparison takes constant time.
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

// With returns a context that carries the caller's grant.
func With(ctx context.Context, g *Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// From returns the caller's grant; nil where no token was needed.
func From(ctx context.Context) *Grant {
	g, _ := ctx.Value(grantKey{}).(*Grant)
	return g
}
