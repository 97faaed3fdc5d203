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

// axe is what finds faults of accessibility in a page (axe-core; npm ci in clients/node).
const axe = "clients/node/node_modules/axe-core/axe.min.js"

// accessible holds what the page shows now against the rules of axe.
func (p *page) accessible(about string) {
	p.t.Helper()
	script, err := os.ReadFile(axe)
	if os.IsNotExist(err) {
		p.t.Log("axe is not asked: run `npm ci` in test/clients/node")
		return
	}
	require.NoError(p.t, err)
	p.do(chromedp.Evaluate(string(script), nil))
	var found []string
	p.settled(`axe.run().then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target + ': ' + n.failureSummary)))`, &found)
	assert.Empty(p.t, found, about)
}

// visible is the text of all that is shown.
func (p *page) visible() (shown string) {
	p.t.Helper()
	p.do(chromedp.Evaluate("document.body.innerText", &shown))
	return shown
}

// operatorToken makes a token in a file of operators' tokens.
func operatorToken(t *testing.T, file, name, scopes string) string {
	t.Helper()
	out, err := command(t, "token", "create", "--name", name, "--scopes", scopes, "--file", file).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// TestConsolePageLogin: before a token is given the page shows no figure, and none of what it said then stays after a right one. Times
// are in UTC wherever the browser is, and what was chosen is in the address.
func TestConsolePageLogin(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	withinAnHour(t, time.Minute)
	operators := filepath.Join(t.TempDir(), "operators.yaml")
	token := operatorToken(t, operators, "ops", "read,write")
	s := newSettings(t, sandbox(t).url).set("admin.tokens_file", operators).set("admin.listen", loopback(freePort(t)))
	d := launch(t, s.write(t))
	d.ready()
	for range 3 {
		d.send(hit("1001", "app1"), hit("1003", "appoauth"), hit("1003", "appoauth"))
	}
	pause(t.Context(), 2*time.Second) // delivered and booked; the status needs a token here
	p := browse(t, d.admin+"/")
	p.do(emulation.SetTimezoneOverride("Asia/Tokyo"))
	p.shows("summary", "The state is unknown before a token is given")
	shown := strings.ReplaceAll(p.visible(), strings.TrimPrefix(d.admin, "http://"), "")
	for _, claim := range []string{"None", "Nothing", "0", "balanced", "bearer"} {
		assert.NotContains(t, shown, claim, "unknown is not shown as a figure")
	}
	p.accessible("login")
	p.keep("login")
	enter := func(text string) {
		p.do(chromedp.SetValue("#token", text, chromedp.ByID), chromedp.Click("#login button"))
	}
	enter("wrong")
	p.shows("link", "token refused")
	assert.NotContains(t, p.visible(), "None")
	enter(token)
	p.shows("law", "delivered 9")
	p.shows("link", "live")
	p.shows("usagesum", "delivered")
	assert.NotContains(t, p.visible(), "bearer token")
	assert.NotContains(t, p.visible(), "token is given")

	// Times are UTC, in the rates, too.
	clock := `document.querySelector('#chart .u-legend')?.innerText ?? ''`
	var legend string
	p.do(chromedp.Evaluate(`(() => { const o = document.querySelector('#chart .u-over'); const r = o.getBoundingClientRect();
	  o.dispatchEvent(new MouseEvent('mousemove', { clientX: r.right - 2, clientY: r.top + 20, bubbles: true })); })()`, nil))
	eventually(t, 10*time.Second, "the values under the cursor are shown", func() bool {
		p.do(chromedp.Evaluate(clock, &legend))
		return strings.Contains(legend, time.Now().UTC().Format("15:")) || strings.Contains(legend, time.Now().Add(-time.Minute).UTC().Format("15:"))
	})
	assert.Contains(t, p.visible(), "All times are UTC")

	// The address has what was chosen.
	p.choose("service", "1003")
	p.do(chromedp.Click(`#ranges button[value="3d"]`))
	p.shows("usagesum", "6 delivered")
	var address string
	p.do(chromedp.Location(&address))
	assert.Contains(t, address, "service=1003")
	assert.Contains(t, address, "range=3d")
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(address))
	p.shows("usagesum", "6 delivered")
	var pressed string
	p.do(chromedp.Evaluate(`document.querySelector('#ranges [aria-pressed="true"]').value`, &pressed))
	assert.Equal(t, "3d", pressed)

	// The heat-map begins with the latest hours on a narrow screen.
	p.do(emulation.SetDeviceMetricsOverride(390, 800, 2, true), chromedp.Reload())
	p.shows("usagesum", "6 delivered")
	var right bool
	eventually(t, 10*time.Second, "the latest hours are in sight", func() bool {
		p.do(chromedp.Evaluate(`(() => { const b = document.getElementById('heatbox'); return b.clientWidth > 0 && b.scrollLeft + b.clientWidth >= b.scrollWidth - 2; })()`, &right))
		return right
	})
	p.keep("390")
	p.accessible("narrow")
	assert.True(t, p.fits())
}

// TestConsolePageDeadLetters: they are found by service, reason and words, and decided about all at once, with a count first.
func TestConsolePageDeadLetters(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	b := sandbox(t)
	s := newSettings(t, b.url).set("sender.negative_cache", "0s")
	d := serve(t, s)
	for i := range 70 {
		d.send(event{ServiceID: "1001", AppID: fmt.Sprintf("nosuch%d", i), Usage: map[string]uint64{"hits": 1}})
	}
	for i := range 5 {
		d.send(event{ServiceID: "1003", AppID: fmt.Sprintf("gone%d", i), Usage: map[string]uint64{"hits": 1}})
	}
	eventually(t, 40*time.Second, "they are dead", func() bool { return d.status().Events.Dead == 75 })
	p := browse(t, d.admin+"/")
	p.shows("lettersum", "75 dead letters")
	p.accessible("dead letters, light")
	p.do(chromedp.Click("#theme"))
	p.accessible("dead letters, dark")
	p.keep("letters")
	p.choose("letterservice", "1003")
	p.shows("lettersum", "5 dead letters")
	p.do(chromedp.Evaluate(`(() => { const s = document.getElementById('lettersearch'); s.value = 'gone3'; s.dispatchEvent(new Event('input')); })()`, nil))
	p.shows("lettersum", "1 dead letter")
	assert.Contains(t, p.text("letters"), "gone3")
	p.do(chromedp.Evaluate(`(() => { const s = document.getElementById('lettersearch'); s.value = ''; s.dispatchEvent(new Event('input')); })()`, nil))
	p.shows("lettersum", "5 dead letters")
	p.do(chromedp.Evaluate(`window.confirm = (text) => { window.said = text; return true; }`, nil), chromedp.Click("#dropall"))
	p.shows("said", "Dropped: 5 events of 5 dead letters.")
	var asked string
	p.do(chromedp.Evaluate("window.said", &asked))
	assert.Contains(t, asked, "Drop 5 events of 5 dead letters for good?")
	p.choose("letterservice", "")
	p.shows("lettersum", "70 dead letters")
	for i := range 70 {
		mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": "1001", "app_id": fmt.Sprintf("nosuch%d", i)})
	}
	p.do(chromedp.Click("#requeueall"))
	p.shows("said", "Requeued: 70 events of 70 dead letters are pending again.")
	p.shows("law", "delivered 70")
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.complaints, "the browser's console")
}

// TestConsolePageParked: parked reports stand before the figures, with what they hold, and are decided about all at once.
func TestConsolePageParked(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("sender.on_ambiguous", "park").set("batch.flush_interval", "100ms"))
	for i, service := range []string{"1001", "1003", "1001"} {
		b.failReports(fault{Status: 500, Times: 1})
		d.send(hit(service, map[string]string{"1001": "app1", "1003": "appoauth"}[service]))
		eventually(t, 20*time.Second, "it is parked", func() bool {
			got := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked", nil)
			return len(read[struct{ Parked []struct{ ID string } }](t, got).Parked) == i+1
		})
	}
	b.heal()
	p := browse(t, d.admin+"/")
	p.shows("summary", "3 reports are parked: 3scale may or may not have counted them.")
	p.shows("parkedsum", "3 reports with 3 events")
	var first bool
	p.do(chromedp.Evaluate(`document.getElementById('incidents').contains(document.getElementById('parkedsection'))`, &first))
	assert.True(t, first, "before the figures")
	p.accessible("parked")
	p.keep("parked")
	p.choose("parkedservice", "1001")
	p.shows("parkedsum", "2 reports with 2 events")
	p.do(chromedp.Evaluate(`window.confirm = (text) => { window.said = text; return true; }`, nil), chromedp.Click("#resendall"))
	p.shows("parkedsaid", "Send again: 2 of 2 reports with 2 events.")
	var asked string
	p.do(chromedp.Evaluate("window.said", &asked))
	assert.Contains(t, asked, "it is counted twice. There is no undo.")
	p.shows("law", "delivered 2")
	p.shows("parkedsum", "1 report with 1 event")
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.complaints, "the browser's console")
}
