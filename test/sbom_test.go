package test

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// coldVariable turns on the build of a release without anything in the module cache.
const coldVariable = "REPORTERD_COLD"

// TestColdRelease: a machine that has built nothing before makes a release, with everything that the manual names.
func TestColdRelease(t *testing.T) {
	if os.Getenv(coldVariable) == "" {
		t.Skipf("downloads every module, and builds for two minutes: %s=1", coldVariable)
	}
	cache, dist := t.TempDir(), t.TempDir()
	cmd := exec.Command("../deploy/build", dist, "amd64")
	cmd.Env = append(os.Environ(), "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "VERSION=1.2.3")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	require.NoError(t, err)
	manual, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	assert.Contains(t, string(sums), "  reporterd_1.2.3_linux_amd64\n")
	for _, ending := range []string{".tar.gz", ".deb", ".rpm", ".image.tar", ".cdx.json"} {
		assert.Contains(t, string(sums), "  reporterd_1.2.3_linux_amd64"+ending+"\n")
		assert.Contains(t, string(manual), "`"+ending+"`", "the table of a release's files")
	}
}

// TestGettingIt: the README says how to clone and what makes a release, and make has it.
func TestGettingIt(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	assert.Regexp(t, `git clone\s+https://github.com/reporterd/reporterd`, string(readme))
	assert.Contains(t, string(readme), "`make release`")
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	assert.Contains(t, string(makefile), "\nrelease:\n\tgo mod verify\n\tdeploy/build dist\n")
}
