package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// prefix marks a token, so that scanners for secrets in code and logs find it.
const prefix = "rpd_"

// minToken is the least length of a token that was not made by NewToken: 128 random bits in base64.
const minToken = 22

// NewToken returns a token of 256 random bits.
func NewToken() string {
	raw := make([]byte, 32)
	rand.Read(raw) //nolint:errcheck // never fails: the process would end
	return prefix + base64.RawURLEncoding.EncodeToString(raw)
}

// Entry returns the lines of a token in a file of tokens, indented to follow "tokens:". They do not contain the token itself.
func Entry(token string, g Grant, kind Kind) (string, error) {
	if len(token) < minToken {
		return "", fmt.Errorf("expected a token of at least %d characters, made by a machine: `reporterd token create` makes one", minToken)
	}
	digest := sha256.Sum256([]byte(token))
	e := entry{Name: g.Name, SHA256: hex.EncodeToString(digest[:]), Services: g.Services, Scopes: g.Scopes, Expires: g.Expires, Rate: g.Rate}
	if _, reason := e.grant(kind); reason != "" {
		return "", errors.New(reason)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string][]entry{"tokens": {e}}); err != nil {
		return "", fmt.Errorf("access: %w", err)
	}
	lines := bytes.TrimPrefix(out.Bytes(), []byte("tokens:\n"))
	return string(lines), encoder.Close()
}
