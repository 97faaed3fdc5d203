//go:build ignore

// go run .ci/vulndb.go MODULE DIR makes the database that govulncheck reads of the reports in golang.org/x/vulndb: what
// https://vuln.go.dev serves, of the day of that module's version.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type advisory struct {
	ID        string `json:"id"`
	Modified  string `json:"modified"`
	Withdrawn string `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

type reference struct {
	ID       string `json:"id"`
	Modified string `json:"modified"`
}

type module struct {
	Path  string      `json:"path"`
	Vulns []reference `json:"vulns"`
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: go run .ci/vulndb.go MODULE DIR"))
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "data/osv/*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no reports in %s", os.Args[1])
	}
	fail(err)
	byPath := map[string][]reference{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		fail(err)
		var a advisory
		fail(json.Unmarshal(text, &a))
		write(filepath.Join(os.Args[2], "ID", a.ID+".json"), text)
		if a.Withdrawn != "" {
			continue
		}
		for _, affected := range a.Affected {
			r := reference{a.ID, a.Modified}
			if path := affected.Package.Name; !slices.Contains(byPath[path], r) {
				byPath[path] = append(byPath[path], r)
			}
		}
	}
	var modules []module
	for path, vulns := range byPath {
		modules = append(modules, module{path, vulns})
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.Marshal(modules)
	fail(err)
	write(filepath.Join(os.Args[2], "index/modules.json"), text)
	write(filepath.Join(os.Args[2], "index/db.json"), []byte(`{"modified":"0001-01-01T00:00:00Z"}`))
}

func write(name string, text []byte) {
	fail(os.MkdirAll(filepath.Dir(name), 0o755))
	fail(os.WriteFile(name, text, 0o644))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}
