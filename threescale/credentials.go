package threescale

import "fmt"

// Credentials open a service: a service token or a provider key. They print as [redacted] with every
// verb, and marshal so too; the fields are read only where a call is written or compared.
type Credentials struct {
	ServiceToken string
	ProviderKey  string
}

// IsZero reports whether there are no credentials at all.
func (c Credentials) IsZero() bool { return c == Credentials{} }

// String returns a constant that says only whether credentials are set.
func (c Credentials) String() string {
	if c.IsZero() {
		return "[none]"
	}
	return "[redacted]"
}

// Format writes String for every verb, so that %+v and %#v leak nothing.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalText makes JSON, YAML and structured loggers write String.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
