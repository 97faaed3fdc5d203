package test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// infinityPanel is a panel of deploy/grafana/usage.json, as far as Infinity reads it.
type infinityPanel struct {
	Title   string
	Targets []struct {
		URL          string
		RootSelector string `json:"root_selector"`
		Format       string
		Columns      []struct{ Selector, Type string }
	}
}

// TestToolsRead reads the sources of deploy/compose as the tools of docs/tools.md do: by a token in the address, as a header, and as a
// password, as JSON with its rows and as CSV; and each panel of Grafana's dashboard of usage by what its data source is provisioned with.
func TestToolsRead(t *testing.T) {
	t.Parallel()
	config := newSettings(t, sandbox(t).url).set("reader.listen", "127.0.0.1:0").write(t)
	d := launch(t, config)
	d.ready()
	d.send(event{ServiceID: "1001", AppID: "app1", Usage: map[string]uint64{"hits": 40}})
	d.drained(10 * time.Second)
	d.booked()
	reader := "http://" + d.await("reader")
	text, err := os.ReadFile("../deploy/compose/sources.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(config), "sources.yaml"), text, 0o600))
	mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil) // now, so that the first answers have what was sent

	var provisioned struct {
		Datasources []struct {
			Type, URL      string
			JSONData       map[string]any `yaml:"jsonData"`
			SecureJSONData struct {
				BearerToken string `yaml:"bearerToken"`
			} `yaml:"secureJsonData"`
		}
	}
	text, err = os.ReadFile("../deploy/compose/grafana/datasources/sources.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &provisioned))
	require.Len(t, provisioned.Datasources, 1)
	source := provisioned.Datasources[0]
	token := source.SecureJSONData.BearerToken
	assert.Equal(t, []any{source.URL}, source.JSONData["allowedHosts"])

	ask := func(path string, as func(*http.Request)) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, reader+path, nil)
		require.NoError(t, err)
		as(req)
		got, err := do(testClient, req)
		require.NoError(t, err)
		return got
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	basic := func(r *http.Request) { r.SetBasicAuth("anyone", token) }
	bare := func(*http.Request) {}
	eventually(t, 90*time.Second, "the sources have what was sent", func() bool {
		return strings.Contains(ask("/sources/orders-by-hour.csv", bearer).body, ",40\n") && strings.Contains(ask("/sources/deliveries.csv", bearer).body, ",40,")
	})

	as := func(agent string, auth func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("User-Agent", agent)
			r.Header.Set("Accept", "*/*")
			r.Header.Set("Accept-Encoding", "gzip, deflate")
			auth(r)
		}
	}
	const mashup = "Microsoft.Data.Mashup (https://go.microsoft.com/fwlink/?LinkID=304225)" // Power Query, in Excel and in Power BI
	for tool, got := range map[string]answer{
		"Klipfolio":     ask("/sources/orders-by-hour.csv", as("Klipfolio", bearer)),
		"Google Sheets": ask("/sources/orders-by-hour.csv?access_token="+token, as("Mozilla/5.0 (compatible; GoogleDocs; apps-spreadsheets; +http://docs.google.com)", bare)),
		"Excel":         ask("/sources/orders-by-hour.csv", as(mashup, basic)),
		"Power BI":      ask("/sources/orders-by-hour.csv", as(mashup, basic)),
	} {
		require.Equal(t, http.StatusOK, got.status, tool)
		assert.Contains(t, got.header.Get("Content-Type"), "text/csv", tool)
		assert.Empty(t, got.header.Get("Content-Encoding"), "%s: as it is", tool)
		rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
		require.NoError(t, err, tool)
		assert.Equal(t, []string{"time", "hits"}, rows[0], tool)
		_, err = time.Parse(time.RFC3339, rows[1][0])
		assert.NoError(t, err, tool)
		again := ask("/sources/orders-by-hour.csv", as(tool, func(r *http.Request) { bearer(r); r.Header.Set("If-None-Match", got.header.Get("ETag")) }))
		assert.Equal(t, http.StatusNotModified, again.status, "%s, on the next refresh", tool)
	}
	discovered := ask("/sources/orders-by-hour.csv", func(r *http.Request) { // Excel, before it opens an address
		r.Method = http.MethodHead
		as("Microsoft Office Existence Discovery", basic)(r)
	})
	assert.Equal(t, http.StatusOK, discovered.status)
	assert.Empty(t, discovered.body)
	tested := ask("/", as(mashup, basic)) // Power BI's service tests the address without the path
	assert.Equal(t, http.StatusNotFound, tested.status, "which is why docs/tools.md says to skip that test")
	refused := ask("/sources/orders-by-hour.csv", bare)
	assert.Equal(t, http.StatusUnauthorized, refused.status)
	assert.Contains(t, strings.Join(refused.header.Values("WWW-Authenticate"), " "), "Basic", "Excel asks for a password when it is told to")

	text, err = os.ReadFile("../deploy/grafana/usage.json")
	require.NoError(t, err)
	var board struct{ Panels []infinityPanel }
	require.NoError(t, json.Unmarshal(text, &board))
	require.Len(t, board.Panels, 6)
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			var whole map[string]json.RawMessage
			got := ask(target.URL, bearer)
			require.Equal(t, http.StatusOK, got.status, "%s: %s", panel.Title, got.body)
			require.NoError(t, json.Unmarshal([]byte(got.body), &whole))
			var rows []map[string]any
			require.NoError(t, json.Unmarshal(whole[target.RootSelector], &rows), panel.Title)
			require.NotEmpty(t, rows, panel.Title)
			for _, c := range target.Columns {
				value := rows[0][c.Selector]
				switch c.Type {
				case "timestamp":
					_, err := time.Parse(time.RFC3339, value.(string))
					assert.NoError(t, err, panel.Title)
				case "number":
					assert.IsType(t, float64(0), value, "%s: %s", panel.Title, c.Selector)
				default:
					assert.IsType(t, "", value, "%s: %s", panel.Title, c.Selector)
				}
			}
		}
	}
}
