//go:build !linux

package ledger

import "testing"

// dropCaches does nothing: how it is done is known for Linux only.
func dropCaches(*testing.T, *Ledger) {}
