package config

import "fmt"

// Secret is a token or key. It prints and marshals as [redacted] with every verb; only string(s)
// returns its value.
type Secret string

// String returns a constant that says only whether the secret is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// Format writes String for every verb, so that %q, %x and %#v leak nothing.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText makes JSON, YAML and structured loggers write String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
