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

	"github.com/reporterd/reporterd/console/source"
)

// fill types into fields of a form, by their names.
func (p *page) fill(form string, fields map[string]string) {
	p.t.Helper()
	for name, value := range fields {
		p.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const f = document.getElementById(%q).elements[%q]; f.value = %q;
		  f.dispatchEvent(new Event('input', { bubbles: true })); f.dispatchEvent(new Event('change', { bubbles: true })); })()`, form, name, value), nil))
	}
}

// TestConsolePageSources: a source is made on the page, from a question and what it answers now to an address that its token opens.
func TestConsolePageSources(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	b := sandbox(t)
	operators := filepath.Join(t.TempDir(), "operators.yaml")
	token := operatorToken(t, operators, "ops", "read,write")
	s := newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("admin.tokens_file", operators)
	config := s.write(t)
	d := launch(t, config)
	d.ready()
	d.send(event{ServiceID: "1001", AppID: "app1", Usage: map[string]uint64{"hits": 40}})

	p := browse(t, d.admin+"/page/sources.html")
	p.do(chromedp.WaitVisible("#login"))
	p.do(chromedp.SetValue("#token", token, chromedp.ByID), chromedp.Click("#login button"))
	p.shows("about", "Usage of a metric")
	p.do(chromedp.Click("#check"))
	p.shows("checked", "things are right")
	assert.Contains(t, p.text("findings"), "the token may read services and applications")
	p.shows("none", "There is none yet")
	p.fill("edit", map[string]string{"name": "orders", "question": "service_usage"})
	p.fill("edit", map[string]string{"service": "1001", "metric": "hits", "since": "{date.add(-1).format()}", "columns": "value=hits"})
	eventually(t, 20*time.Second, "what was sent is in the preview", func() bool {
		p.do(chromedp.Click("#preview"))
		return strings.Contains(p.text("rows"), "40")
	})
	p.shows("said", "Since "+time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	assert.Contains(t, p.text("rows"), "hits")
	p.do(chromedp.Click(`#forms [value="json"]`))
	assert.Contains(t, p.text("rows"), `"hits": 40`)
	p.do(chromedp.Click(`#forms [value="table"]`))

	p.do(chromedp.Click("#savetoken"))
	p.shows("said", "Saved: orders is in sources.yaml")
	made := p.text("madetoken")
	require.NotEmpty(t, made)
	list, err := source.Read(filepath.Join(filepath.Dir(config), "sources.yaml"))
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.True(t, list[0].Opens(made))
	eventually(t, 20*time.Second, "its token opens it", func() bool {
		got, err := call(testClient, http.MethodGet, d.admin+"/sources/orders.csv?access_token="+made, "", nil)
		return err == nil && got.status == http.StatusOK && strings.HasPrefix(got.body, "time,hits\n") && strings.Contains(got.body, ",40\n")
	})
	p.accessible("sources, light")
	p.keep("sources")
	p.do(chromedp.Click("#theme"))
	p.accessible("sources, dark")
	p.do(emulation.SetDeviceMetricsOverride(390, 800, 2, true))
	assert.True(t, p.fits())
	p.keep("sources-390")
	p.do(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false))

	// A mistake is named with its field, and nothing is saved.
	p.do(chromedp.Click("#new"))
	p.fill("edit", map[string]string{"name": "orders", "question": "services"})
	p.do(chromedp.Click("#save"))
	p.shows("said", "Not saved: source: a source of this name is there already")
	p.fill("edit", map[string]string{"name": "Übel"})
	p.do(chromedp.Click("#save"))
	p.shows("said", "Not saved: name:")

	// A reload shows the source of the address; then it goes.
	p.do(chromedp.Navigate(d.admin + "/page/sources.html?source=orders"))
	p.shows("edittitle", "Source orders")
	p.shows("rows", "40")
	p.do(chromedp.Evaluate(`window.confirm = () => true`, nil), chromedp.Click("#remove"))
	p.shows("said", "Deleted: orders.")
	p.shows("none", "There is none yet")
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, said := range p.complaints {
		assert.Contains(t, said, "the server responded with a status of 4", "what was refused on purpose")
	}
}
