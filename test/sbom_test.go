package test

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBillOfMaterials: the list that comes with a release has every module of the binary, with the checksum that go.sum has, and Go
// itself; the same binary makes the same list.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	make := func() []byte {
		cmd := exec.Command("../deploy/sbom", binary(t), "1.2.3+4.gabc")
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
		out, err := cmd.Output()
		require.NoError(t, err)
		return out
	}
	text := make()
	assert.Equal(t, text, make())
	var list struct {
		BomFormat, SpecVersion string
		Metadata               struct {
			Timestamp string
			Component struct{ Name, Version, Purl string }
		}
		Components []struct {
			Name, Version, Purl string
			Properties          []struct{ Name, Value string }
		}
		Dependencies []struct{ DependsOn []string }
	}
	require.NoError(t, json.Unmarshal(text, &list))
	assert.Equal(t, "CycloneDX 1.5", list.BomFormat+" "+list.SpecVersion)
	assert.Equal(t, "2023-11-14T22:13:20Z", list.Metadata.Timestamp)
	assert.Equal(t, "pkg:golang/github.com/reporterd/reporterd@1.2.3%2B4.gabc", list.Metadata.Component.Purl)
	info, err := buildinfo.ReadFile(binary(t))
	require.NoError(t, err)
	want := map[string]string{"std " + strings.Fields(strings.TrimPrefix(info.GoVersion, "go"))[0]: ""}
	for _, m := range info.Deps {
		want[m.Path+" "+m.Version] = m.Sum
	}
	got := map[string]string{}
	for _, c := range list.Components {
		got[c.Name+" "+c.Version] = ""
		for _, p := range c.Properties {
			got[c.Name+" "+c.Version] = p.Value
		}
	}
	assert.Equal(t, want, got)
	assert.Len(t, list.Dependencies[0].DependsOn, len(want))
}
