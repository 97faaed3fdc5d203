package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad: a file is a configuration or a list of what is wrong with it; nothing else happens.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"services: [{id: \"1001\", token: t}]\n", "listen: \"0.0.0.0:1\"\ninsecure: true\n", "nats: {url: nats://a}\n", "portal: {url: https://t@a}\n", "batch: *x\n", "a: &a [*a]\n",
	} {
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(dir, "r.yaml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		c, err := Load(Source{File: name})
		require.Equal(t, err == nil, c != nil)
	})
}
