package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// login gives the page a token.
func (p *page) login(token string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible("#login"), chromedp.SetValue("#token", token, chromedp.ByID), chromedp.Click("#login button"))
}

// tiles waits until so many tiles are drawn.
func (p *page) tiles(n int) {
	p.t.Helper()
	var drawn int
	eventually(p.t, 30*time.Second, fmt.Sprintf("%d tiles are drawn", n), func() bool {
		p.do(chromedp.Evaluate(`document.querySelectorAll('.tile[data-drawn]').length`, &drawn))
		return drawn == n
	})
}

// saveSource makes a source with the page's form, and waits until it is answered.
func (p *page) saveSource(d *daemon, token, name string, fields map[string]string) {
	p.t.Helper()
	p.do(chromedp.Click("#new"))
	p.fill("edit", map[string]string{"name": name, "question": fields["question"]})
	p.fill("edit", fields)
	p.do(chromedp.Click("#preview"))
	p.shows("said", "Answered in")
	p.do(chromedp.Click("#save"))
	p.shows("said", "Saved: "+name)
	eventually(p.t, 30*time.Second, name+" has an answer", func() bool {
		got, err := call(testClient, http.MethodGet, d.admin+"/sources/"+name+".json?access_token="+token, "", nil)
		return err == nil && got.status == http.StatusOK
	})
}

// TestConsolePageFromTokenToDashboard walks through the document that this product was asked for from: a domain and a token, lists with
// ids, a query whose range moves with the calendar and what it answers now, a name and a refresh, then a pie, a gauge, a table, a line
// and a bar on a dashboard, shared by an address that a browser without its token cannot open and one with it can.
func TestConsolePageFromTokenToDashboard(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	b := sandbox(t)
	operators := filepath.Join(t.TempDir(), "operators.yaml")
	token := operatorToken(t, operators, "ops", "read,write")
	s := newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("admin.tokens_file", operators).set("reader.listen", "127.0.0.1:0")
	d := launch(t, s.write(t))
	d.ready()
	for app, hits := range map[string]uint64{"app1": 40, "app2": 29, "applim": 6} {
		d.send(event{ServiceID: "1001", AppID: app, Usage: map[string]uint64{"hits": hits}})
	}

	p := browse(t, d.admin+"/page/sources.html")
	p.login(token)
	p.shows("about", "Usage of a metric")

	// Lists with ids, as 3scale has them.
	for question, want := range map[string]string{"accounts": "", "applications": "app1", "services": "Orders"} {
		p.fill("edit", map[string]string{"question": question})
		p.fill("edit", map[string]string{"from": "3scale"})
		p.do(chromedp.Click("#preview"))
		p.shows("said", "Answered in")
		p.shows("rows", "id")
		eventually(t, 20*time.Second, question+" are listed", func() bool { return strings.Contains(p.text("rows"), want) })
	}

	// A custom query of 3scale's own API, with a date that moves with the calendar.
	p.fill("edit", map[string]string{"question": ""})
	p.fill("edit", map[string]string{"path": "/stats/services/1001/usage.json?metric_name=hits&since={date.add(-30).format()}&until={date.format()}&granularity=day", "from": "3scale"})
	p.do(chromedp.Click("#preview"))
	p.shows("said", "since="+time.Now().UTC().AddDate(0, 0, -30).Format(time.DateOnly))

	// Names and refreshes.
	p.saveSource(d, token, "orders-by-day", map[string]string{"question": "service_usage", "service": "1001", "metric": "hits", "since": "{date.add(-30).format()}", "refresh": "10s"})
	p.saveSource(d, token, "top-apps", map[string]string{"question": "top_applications", "service": "1001", "metric": "hits", "refresh": "10s"})
	p.saveSource(d, token, "limits-used", map[string]string{"question": "limit_utilisation", "service": "1001", "refresh": "1m"})
	p.saveSource(d, token, "applications", map[string]string{"question": "applications", "service": "1001", "from": "3scale", "refresh": "1m"})

	// A dashboard: pie, gauge, table, line, bar.
	p.do(chromedp.Navigate(d.admin + "/page/dashboards.html"))
	p.shows("list", "service-1001")
	p.keep("dashboards")
	p.do(chromedp.Click("#create"))
	p.fill("editor", map[string]string{"name": "board", "title": "Orders, for the board"})
	var offered bool
	eventually(t, 10*time.Second, "the sources are offered", func() bool {
		p.do(chromedp.Evaluate(`[...document.getElementById('editor').elements.source.options].some((o) => o.value === 'top-apps')`, &offered))
		return offered
	})
	for _, tile := range []map[string]string{
		{"kind": "line", "source": "orders-by-day", "tiletitle": "Hits", "width": "3"},
		{"kind": "gauge", "source": "limits-used", "tiletitle": "Nearest limit", "width": "1"},
		{"kind": "share", "source": "top-apps", "tiletitle": "Shares", "width": "2"},
		{"kind": "bar", "source": "orders-by-day", "tiletitle": "Hits by day", "width": "2"},
		{"kind": "table", "source": "applications", "tiletitle": "Applications", "width": "4"},
	} {
		p.fill("editor", tile)
		p.do(chromedp.Click("#addtile"))
	}
	p.tiles(5)
	p.do(chromedp.Click("#save"))
	p.shows("said", "Saved as board.")
	p.do(chromedp.Click("#editing"))
	p.tiles(5)
	said := func(title string) (text string) {
		p.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector('.tile[aria-label="%s"] [role="img"]')?.getAttribute('aria-label') ?? ''`, title), &text))
		return text
	}
	eventually(t, 40*time.Second, "what was sent is on the dashboard", func() bool {
		p.do(chromedp.Click("#refresh"))
		pause(t.Context(), 300*time.Millisecond)
		return strings.Contains(said("Hits"), "75 value in 31 points") && strings.Contains(said("Shares"), "53.3 %")
	})
	assert.Contains(t, said("Nearest limit"), "%")
	p.keep("dashboard")
	p.accessible("dashboard, light")
	p.do(chromedp.Click("#theme"))
	p.keep("dashboard-dark")
	p.accessible("dashboard, dark")
	p.do(chromedp.Click("#theme"), emulation.SetDeviceMetricsOverride(390, 800, 2, true))
	assert.True(t, p.fits(), "nothing sticks out at 390 pixels")
	p.keep("dashboard-390")
	p.do(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false))

	// The range is in the address, with the range before beside it.
	p.choose("range", "7d")
	p.do(chromedp.Click("#compare"))
	eventually(t, 20*time.Second, "seven days and the seven before", func() bool {
		return strings.Contains(said("Hits"), "75 value in 8 points, 0 before")
	})

	// Sharing.
	p.do(chromedp.Evaluate(`window.confirm = () => true`, nil), chromedp.Click("#sharing"))
	p.do(chromedp.WaitVisible("#sharebox input"))
	var shared []string
	p.do(chromedp.Evaluate(`[...document.querySelectorAll('#sharebox input')].map((i) => i.value)`, &shared))
	require.Len(t, shared, 2)
	address, readers := shared[0], shared[1]
	var exported string
	require.Contains(t, address, "d=board")

	// Elsewhere it is opened on the listener that can only read.
	reader := "http://" + d.await("reader")
	stranger := browse(t, strings.Replace(address, d.admin, reader, 1))
	stranger.do(chromedp.WaitVisible("#login"))
	assert.NotContains(t, stranger.visible(), "Hits", "without a token nothing is shown")
	stranger.login("rpd_wrong")
	stranger.shows("refused", "This token does not open this page")
	stranger.login(token)
	stranger.shows("refused", "This token does not open this page") // an operator's is for the admin listener
	stranger.login(readers)
	stranger.tiles(5)
	assert.Contains(t, stranger.visible(), "Orders, for the board")
	stranger.keep("dashboard-shared")
	mustCall(t, http.StatusNotFound, http.MethodPost, reader+"/-/flush", nil)
	for _, path := range []string{"/api/v1/status", "/api/v1/dashboards", "/api/v1/dashboards/service-1001", "/sources/top-apps.json", "/metrics"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.admin+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+readers)
		got, err := do(testClient, req)
		require.NoError(t, err)
		assert.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.status, "the dashboard's token does not open %s", path)
	}

	// Exported, and imported under another name.
	file := filepath.Join(t.TempDir(), "board.json")
	p.settled(`(async () => { const make = URL.createObjectURL; let text; URL.createObjectURL = (blob) => { text = blob.text(); return make.call(URL, blob); };
	  document.getElementById('exporting').click(); return await text; })()`, &exported)
	require.NoError(t, os.WriteFile(file, []byte(exported), 0o600))
	p.do(chromedp.Navigate(d.admin + "/page/dashboards.html"))
	p.shows("list", "Orders, for the board")
	p.do(chromedp.SetUploadFiles("#import", []string{file}))
	p.tiles(5)
	p.fill("editor", map[string]string{"name": "copy"})
	p.do(chromedp.Click("#save"))
	p.shows("said", "Saved as copy.")
	for _, part := range []string{`"kind":"gauge"`, `"source":"limits-used"`, `"range":"7d"`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.admin+"/api/v1/dashboards/copy", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		got, err := do(testClient, req)
		require.NoError(t, err)
		assert.Contains(t, got.body, part)
	}

	// The dashboard that each service has, without anybody making it; loaded again: how soon it can be used.
	p.do(chromedp.Navigate(d.admin + "/page/dashboards.html?d=service-1001"))
	p.tiles(6)
	p.keep("dashboard-service")
	p.accessible("a service's dashboard")
	var ready float64
	p.do(chromedp.Evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd", &ready))
	t.Logf("the dashboard page is interactive after %.0f ms", ready)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, said := range p.complaints {
		assert.Contains(t, said, "the server responded with a status of 4", "the browser's console")
	}
}
