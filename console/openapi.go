package console

import (
	_ "embed" // the document
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/reporterd/reporterd/internal/respond"
)

// openAPI describes the traffic and the admin listener. Tests validate requests and answers against it.
//
//go:embed openapi.yaml
var openAPI []byte

// openAPIJSON is the same document as JSON, for the explorer: a browser cannot parse YAML.
var openAPIJSON = sync.OnceValue(func() []byte { return asJSON(openAPI) })

func asJSON(document []byte) []byte {
	var all any
	err := yaml.Unmarshal(document, &all)
	text, badJSON := json.Marshal(all)
	if err = errors.Join(err, badJSON); err != nil {
		panic(fmt.Sprintf("console: openapi.yaml: %v", err)) // it is embedded in the program
	}
	return text
}

// operation is an operation of the admin listener in the index.
type operation struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Summary string `json:"summary"`
}

// operations returns the operations of the admin listener, by path.
var operations = sync.OnceValue(adminOperations)

func adminOperations() (all []operation) {
	var document struct {
		Paths map[string]map[string]struct {
			Tags    []string `yaml:"tags"`
			Summary string   `yaml:"summary"`
		} `yaml:"paths"`
	}
	if err := yaml.Unmarshal(openAPI, &document); err != nil {
		panic(fmt.Sprintf("console: openapi.yaml: %v", err)) // it is embedded in the program
	}
	for path, methods := range document.Paths {
		for method, o := range methods {
			if slices.Contains(o.Tags, "admin") {
				all = append(all, operation{strings.ToUpper(method), path, o.Summary})
			}
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return all
}

// describe answers GET /openapi.yaml.
func (c *Console) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // an error means that the client is gone
}

// describeAsJSON answers GET /openapi.json.
func (c *Console) describeAsJSON(w http.ResponseWriter, _ *http.Request) {
	respond.JSON(w, http.StatusOK, json.RawMessage(openAPIJSON()))
}

// indexOfAPI answers GET /api/v1.
func (c *Console) indexOfAPI(w http.ResponseWriter, _ *http.Request) {
	respond.JSON(w, http.StatusOK, struct {
		Description string      `json:"description"`
		Operations  []operation `json:"operations"`
	}{"/openapi.yaml", operations()})
}
