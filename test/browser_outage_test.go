package test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// TestConsolePageInAnOutage: while 3scale is away the page begins with that, in the colour of waiting, and is green nowhere.
func TestConsolePageInAnOutage(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	p := browse(t, d.admin+"/")
	p.shows("summary", "Flowing: everything accepted has its outcome.")
	p.shows("noheat", "Nothing in 48 hours.")
	p.keep("empty")
	b.kill()
	for range 20 {
		d.send(hit("1001", "app1"), hit("1003", "appoauth"))
	}
	eventually(t, 30*time.Second, "the outage is in the first sentence", func() bool {
		text := p.text("summary")
		return (strings.Contains(text, "3scale does not answer: 40 events are pending on disk") || strings.Contains(text, "retrying: 40 events are pending on disk")) &&
			strings.Contains(text, "Nothing is lost")
	})
	var level, pill, border, accent string
	var first float64
	p.do(chromedp.Evaluate(`document.getElementById("summary").dataset.level`, &level),
		chromedp.Evaluate(`getComputedStyle(document.getElementById("link")).color`, &pill),
		chromedp.Evaluate(`getComputedStyle(document.getElementById("summary")).borderLeftColor`, &border),
		chromedp.Evaluate(`(() => { const s = document.createElement("i"); s.style.color = "var(--accent)"; document.body.append(s); return getComputedStyle(s).color; })()`, &accent),
		chromedp.Evaluate(`document.getElementById("summary").getBoundingClientRect().top`, &first))
	assert.Equal(t, "wait", level)
	assert.NotEqual(t, accent, pill, "no green live")
	assert.NotEqual(t, accent, border)
	assert.Less(t, first, 150., "it is at the top")
	p.keep("outage")
}
