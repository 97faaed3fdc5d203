package test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	browserVariable    = "REPORTERD_BROWSER"
	screenshotVariable = "REPORTERD_SCREENSHOTS"
)

// page is the console in a browser, and what the browser complained about.
type page struct {
	t   *testing.T
	ctx context.Context
	dir string // of screenshots

	mu         sync.Mutex // guards complaints
	complaints []string
}

// withinAnHour waits for the next hour if this one ends before a test can be through that shows hours.
func withinAnHour(t *testing.T, takes time.Duration) {
	t.Helper()
	turn := time.Now().Truncate(time.Hour).Add(time.Hour)
	if left := time.Until(turn); left < takes {
		t.Logf("waits %v for the next hour", left.Round(time.Second))
		<-time.After(left)
	}
}

// browse opens the console in headless Chromium.
func browse(t *testing.T, url string) *page {
	t.Helper()
	dir := os.Getenv(screenshotVariable)
	if dir == "" {
		dir = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	allocator, end := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.WindowSize(1280, 1000), chromedp.Flag("hide-scrollbars", true))...)
	t.Cleanup(end)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(end)
	p := &page{t: t, ctx: ctx, dir: dir}
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			p.complain(e.ExceptionDetails.Error())
		case *log.EventEntryAdded: // refused connections are the browser's, not the page's
			if !strings.Contains(e.Entry.Text, "net::ERR_") {
				p.complain(e.Entry.Text)
			}
		}
	})
	p.do(chromedp.Navigate(url))
	return p
}

func (p *page) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, text)
}

func (p *page) do(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Run(p.ctx, actions...))
}

// text is what an element shows.
func (p *page) text(id string) (shown string) {
	p.t.Helper()
	p.do(chromedp.Evaluate(fmt.Sprintf("document.getElementById(%q).textContent", id), &shown))
	return shown
}

// shows waits until an element shows something.
func (p *page) shows(id, what string) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, id+" shows "+what, func() bool { return strings.Contains(p.text(id), what) })
}

// choose picks an option of a list, as a person does.
func (p *page) choose(id, value string) {
	p.t.Helper()
	var there bool
	eventually(p.t, 10*time.Second, id+" offers "+value, func() bool {
		p.do(chromedp.Evaluate(fmt.Sprintf("[...document.getElementById(%q).options].some((o) => o.value === %q)", id, value), &there))
		return there
	})
	p.do(chromedp.Evaluate(fmt.Sprintf("(() => { const s = document.getElementById(%q); s.value = %q; s.dispatchEvent(new Event('change')); })()", id, value), nil))
}

// keep takes a screenshot, which has to show more than one colour.
func (p *page) keep(name string) {
	p.t.Helper()
	var shot []byte
	p.do(chromedp.FullScreenshot(&shot, 100))
	image, err := png.Decode(bytes.NewReader(shot))
	require.NoError(p.t, err)
	assert.Greater(p.t, image.Bounds().Dy(), 400)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name+".png"), smaller(p.t, image), 0o600))
}

// fits reports whether nothing is wider than the window.
func (p *page) fits() (fits bool) {
	p.t.Helper()
	p.do(chromedp.Evaluate("document.documentElement.scrollWidth <= window.innerWidth", &fits))
	return fits
}

// TestConsolePage: what a person does with the console.
func TestConsolePage(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	withinAnHour(t, time.Minute)
	b := sandbox(t)
	s := newSettings(t, b.url).set("sender.negative_cache", "0s").set("batch.flush_interval", "200ms").set("admin.listen", loopback(freePort(t)))
	config := s.write(t)
	d := launch(t, config)
	d.ready()
	d.send(hit("1001", "app1"))
	hostile := `<img src=x onerror=alert(1)>`
	d.send(event{ServiceID: "1001", AppID: hostile, Usage: map[string]uint64{"hits": 3}})
	eventually(t, 20*time.Second, "it is dead", func() bool { return d.status().Events.Dead == 1 })

	p := browse(t, d.admin+"/")
	p.shows("link", "live")
	p.shows("law", "balanced")
	p.shows("summary", "Flowing, and 3scale refused some usage: 1 dead letter.")
	p.shows("letters", hostile)
	p.shows("law", "delivered 1 + dead 1")

	// Live: what comes in shows without a reload.
	for range 30 {
		d.send(hit("1001", "app1"), hit("1003", "appoauth"))
		pause(t.Context(), 50*time.Millisecond)
	}
	p.shows("law", "accepted 62")

	// The ledger: what was delivered, for a service, an application and a metric, over time.
	d.booked()
	p.do(chromedp.Reload())
	p.shows("usagesum", "delivered")
	p.choose("service", "1003")
	p.shows("usagesum", "30 delivered")
	p.choose("service", "1001")
	p.shows("usagesum", "31 delivered, 3 dead")
	p.do(chromedp.Click(`#ranges button[value="30d"]`))
	p.shows("usagesum", "31 delivered, 3 dead")
	p.choose("application", "app1")
	p.shows("usagesum", "31 delivered;")
	p.do(chromedp.Focus(`#heat td[tabindex="0"]`), chromedp.KeyEvent(kb.End))
	var spoken string
	p.do(chromedp.Evaluate("document.activeElement.getAttribute('aria-label')", &spoken))
	assert.Regexp(t, `^1001, .* UTC: 31 hits delivered, 3 dead$`, spoken, "the heat-map is walked by keys")
	p.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	p.shows("usagesum", "30 delivered")
	p.choose("service", "1001")
	p.choose("application", "")
	p.shows("usagesum", "31 delivered, 3 dead")
	p.do(chromedp.Evaluate("performance.getEntriesByType('navigation')[0].domInteractive", new(float64)))
	p.keep("wide")

	// A narrow screen, and the dark.
	p.do(emulation.SetDeviceMetricsOverride(360, 740, 2, true))
	assert.True(t, p.fits(), "nothing sticks out at 360 pixels")
	p.keep("narrow")
	p.do(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false), chromedp.Click("#theme"))
	var theme string
	p.do(chromedp.Evaluate("getComputedStyle(document.body).backgroundColor", &theme))
	assert.Equal(t, "rgb(22, 22, 20)", theme)
	p.keep("dark")

	// The application is made, the dead letter requeued: it is delivered.
	mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": "1001", "app_id": hostile})
	p.do(chromedp.Click(`#letters button[aria-label^="Requeue"]`))
	p.shows("said", "Requeued: 1 event")
	p.shows("law", "dead 0")

	// The daemon goes, and comes back.
	d.kill()
	p.shows("link", "lost")
	p.shows("lost", "No data from the daemon since")
	again := launch(t, config)
	again.ready()
	p.shows("link", "live")

	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.complaints, "the browser's console")
	var ready float64
	p.do(chromedp.Evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd", &ready))
	t.Logf("interactive after %.0f ms; screenshots in %s", ready, p.dir)
}
