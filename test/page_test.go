package test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settled evaluates an expression, and waits for what it promises.
func (p *page) settled(expression string, into any) {
	p.t.Helper()
	p.do(chromedp.Evaluate(expression, into, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
}

// pretend runs a script before the page's own, from the next load on.
func (p *page) pretend(script string) {
	p.t.Helper()
	p.do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdpage.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
		return err
	}))
}

// figuresTold reads back what short and bytes write, which has three digits, or is rounded to a tenth.
const figuresTold = `import('/page/format.js').then(({ short, bytes }) => {
  const wrong = [];
  const units = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const sizes = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
  const check = (n, text, pattern, unit) => {
    const [, digits, name] = pattern.exec(text) ?? [];
    const told = Number(digits) * unit[name];
    if (!(Math.abs(told - n) <= Math.max(0.0051 * n, 0.0500001 * unit[name]) || unit === sizes && Math.abs(told - n) <= 0.051 * n)) wrong.push(n + ' as ' + text);
  };
  let seed = 1;
  const random = () => { seed = seed * 48271 % 2147483647; return seed / 2147483647; };
  const edges = [0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10000, 99950, 99999, 100000, 150000, 200000, 999499, 999500, 999999, 1e6, 1e8, 25e7, 999999999, 1e9, 1e11, 1e12];
  for (let i = 0; i < 20000; i++) edges.push(Math.round(10 ** (14 * random())), 100 * random());
  for (const n of edges) {
    check(n, short(n), /^([\d.]+)([kMGT]?)$/, units);
    check(Math.round(n), bytes(Math.round(n)), /^([\d.]+) (\w+)$/, sizes);
    if (/^1024 /.test(bytes(Math.round(n)))) wrong.push(n + ' as ' + bytes(n));
  }
  return wrong.slice(0, 5).join(', ');
})`

// crowd is a daemon with hundreds of services, one of which needs somebody, in place of the figures that came.
const crowd = `(() => {
  const real = window.fetch;
  window.fetch = async (path, options) => {
    if (String(path).includes('service_id=1001') && String(path).includes('by=hour')) {
      window.slow = true;
      await new Promise((done) => setTimeout(done, 1500));
    }
    const answer = await real(path, options);
    if (!String(path).includes('api/v1/live') || !answer.ok) return answer;
    const data = new TextDecoder().decode((await answer.body.getReader().read()).value).split('\n\n')[0].slice(6);
    const page = JSON.parse(data);
    page.lanes = Array.from({ length: 300 }, (_, i) => ({ service_id: 'service-with-a-long-name-'.repeat(4) + i, state: 'flowing', batches: 1, events: 150000, oldest_age_seconds: 1, last_error: '' }));
    page.lanes.push({ service_id: '<b>refused</b>', state: 'held', batches: 1, events: 1, oldest_age_seconds: 99999, last_error: 'provider key "x" is invalid' });
    page.events.pending = 150000;
    const event = new TextEncoder().encode('data: ' + JSON.stringify(page) + '\n\n');
    return new Response(new ReadableStream({ start(c) { c.enqueue(event); setInterval(() => c.enqueue(event), 1000); } }));
  };
})()`

// TestConsolePageFigures: what the page shows is what there is, also of large figures, hundreds of services and slow answers.
func TestConsolePageFigures(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	d := launch(t, newSettings(t, sandbox(t).url).set("batch.flush_interval", "100ms").set("admin.listen", loopback(freePort(t))).write(t))
	d.ready()
	for range 3 {
		d.send(hit("1001", "app1"), hit("1003", "appoauth"), hit("1003", "appoauth"))
	}
	eventually(t, 20*time.Second, "all is delivered", func() bool { return d.status().Events.Delivered == 9 })
	d.booked()

	p := browse(t, d.admin+"/")
	var wrong string
	p.settled(figuresTold, &wrong)
	assert.Empty(t, wrong)

	// A token that no header can carry is one that is not known.
	var sent string
	p.settled(`import('/page/session.js').then((s) => { s.keep('abc… '); try { return new Headers(s.headers()).get('Authorization') ?? 'none'; } finally { s.keep(''); } })`, &sent)
	assert.Equal(t, "none", sent)

	p.pretend(crowd)
	p.do(chromedp.Reload())
	p.shows("lanes", "<b>refused</b>")
	p.shows("nolanes", "The first 200 of 301.")
	p.shows("pending", "150k")
	p.do(emulation.SetDeviceMetricsOverride(360, 740, 2, true))
	assert.True(t, p.fits(), "nothing sticks out at 360 pixels")
	p.do(emulation.SetDeviceMetricsOverride(1280, 1000, 1, false))

	// The slow answer about one service does not replace that about the one chosen after it.
	p.shows("usagesum", "delivered")
	p.do(chromedp.Evaluate("window.slow = false", nil))
	p.choose("service", "1001")
	var asked bool
	eventually(t, 10*time.Second, "1001 is asked for", func() bool {
		p.do(chromedp.Evaluate("window.slow === true", &asked))
		return asked
	})
	p.choose("service", "1003")
	p.shows("usagesum", "6 delivered")
	for begun := time.Now(); time.Since(begun) < 2*time.Second; pause(t.Context(), 100*time.Millisecond) {
		require.Contains(t, p.text("usagesum"), "6 delivered", "of 1003")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.complaints, "the browser's console")
}
