package sender

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// wire takes calls to the sandbox without a network, and can be cut for reports, for questions, or both.
type wire struct {
	sandbox *sandbox.Sandbox

	mu        sync.Mutex // guards what follows
	all       int        // calls
	questions int
	reports   []int                   // transactions of each
	fail      func(report bool) reply // nil: nothing fails
}

// delayed waits, if there is something to wait for: a timer that has expired when it is selected on can crash the race detector
// in a bubble of synctest (https://go.dev/issue/78156).
func delayed(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RoundTrip answers a call. A connection that the sandbox closes is an error.
func (c *wire) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // the very value net/http looks for
			answer, err = nil, io.ErrUnexpectedEOF
		} else if p != nil {
			panic(p)
		}
	}()
	isReport := r.Method == http.MethodPost
	c.mu.Lock()
	c.all++
	var a reply
	if c.fail != nil {
		a = c.fail(isReport)
	}
	if !isReport {
		c.questions++
	}
	c.mu.Unlock()
	if err := delayed(r.Context(), a.delay); err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.status != 0 {
		return &http.Response{
			StatusCode: a.status, Header: http.Header{}, Request: r, ContentLength: int64(len(a.body)),
			Body: io.NopCloser(strings.NewReader(a.body)),
		}, nil
	}
	before := c.sandbox.Calls().Transactions
	rec := httptest.NewRecorder()
	c.sandbox.ServeHTTP(rec, r)
	if isReport {
		c.mu.Lock()
		c.reports = append(c.reports, int(c.sandbox.Calls().Transactions-before))
		c.mu.Unlock()
	}
	return rec.Result(), nil
}

// behave makes calls fail as a function says; nil: none does.
func (c *wire) behave(fail func(report bool) reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

func (c *wire) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.questions
}

// city is a world whose backend is the sandbox, and whose sender asks before it sends.
type city struct {
	*world
	*wire
	proofs *proof.Proofs
	prober *proof.Prober
	disk   disk.FS
}

// inCity runs a test in a synctest bubble against the sandbox. Its services 1001 to 1005 are configured.
func inCity(t *testing.T, so sandbox.Options, o Options, po proof.Options, rate int, test func(*city)) {
	synctest.Test(t, func(t *testing.T) {
		c := &city{world: &world{t: t, tokens: map[string]string{}}, wire: &wire{sandbox: sandbox.New(so)}}
		for _, id := range []string{"1001", "1002", "1003", "1004", "1005"} {
			c.tokens[id] = "stoken" + id
		}
		var err error
		c.disk = disktest.New(disktest.Options{})
		c.spool, _, err = spool.Open(spool.Options{Dir: "data", FS: c.disk, SegmentBytes: 1 << 20})
		require.NoError(t, err)
		client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: c.wire, Timeout: 10 * time.Second})
		require.NoError(t, err)
		core, logs := observer.New(zap.InfoLevel)
		c.log = logs
		c.proofs = proof.New(po)
		c.prober = proof.NewProber(client, c.proofs, rate)
		o.Proofs, o.Prober = c.proofs, c.prober
		o.Spool, o.Client, o.Credentials, o.Log = c.spool, client, c.credentials, zap.New(core)
		c.sender = New(o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- c.sender.Run(ctx) }()
		go func() { ended <- c.prober.Run(ctx) }()
		c.stop = sync.OnceFunc(func() {
			cancel()
			assert.NoError(t, <-ended)
			assert.NoError(t, <-ended)
		})
		test(c)
		c.stop()
		c.balance()
		require.NoError(t, c.spool.Close())
	})
}

// create makes applications of service 1001.
func (c *city) create(names ...string) {
	c.t.Helper()
	changes := make([]sandbox.ApplicationChange, len(names))
	for i, name := range names {
		changes[i] = sandbox.ApplicationChange{ServiceID: "1001", AppID: name}
	}
	require.NoError(c.t, c.sandbox.PutApplications(changes...))
}

// hits sums what the sandbox counted for a service.
func (c *city) hits(service string) (n uint64) {
	for _, metrics := range c.sandbox.Usage()[service] {
		n += metrics["hits"]
	}
	return n
}

// tries is how many calls were made.
func (c *wire) tries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
