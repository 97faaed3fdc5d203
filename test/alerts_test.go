package test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const alertMinute = 250 * time.Millisecond // what a minute of the rules is in the trials

// alertTrial is a daemon to which something happens that alerts are for.
type alertTrial struct {
	t          *testing.T
	prometheus *prometheus
	instance   string // address of the admin listener, also after a restart
	backend    *backend
	settings   settings
	file       string
	daemon     *daemon
}

// alertTrials are what can go wrong, by the alerts that are tried with it.
var alertTrials = map[string]func(*alertTrial){
	"Down Restarting":                        (*alertTrial).restarts,
	"BackendAway UsageDelayed UsageExpiring": (*alertTrial).outage,
	"LaneHeld":                               (*alertTrial).refusedToken,
	"Ambiguous":                              (*alertTrial).lostAnswers,
	"Parked":                                 (*alertTrial).parking,
	"Miscounted":                             (*alertTrial).doubledSlice,
	"ProbationStuck":                         (*alertTrial).unansweredQuestions,
	"DeadLetters DeadLettersGrowing":         (*alertTrial).poison,
	"Saturated":                              (*alertTrial).slowBackend,
	"EventsLost Quarantine":                  (*alertTrial).damage,
	"SpoolFilling SpoolFull Refusing Unbilled": (*alertTrial).fullSpool,
	"SyncOff":                  (*alertTrial).withoutSync,
	"ReloadRefused":            (*alertTrial).badReload,
	"Crowded":                  (*alertTrial).crowd,
	"ClockSkew":                (*alertTrial).wrongClock,
	"AuthorizeBlind":           (*alertTrial).blindAuthorizations,
	"DiskFailing NATSDropping": (*alertTrial).brokenDisk,
	"DiskUnreadable":           (*alertTrial).unreadableDisk,
	"FileDescriptors":          (*alertTrial).descriptors,
	"NATSAway NATSUnsynced":    (*alertTrial).messages,
}

// ruleOnly are the alerts whose cause no trial can make on any machine, or not for long enough to be seen: promtool's
// tests have to do. What the last five look at is tried in TestReconcile and the tests of ledger and receipts.
var ruleOnly = []string{"SlowDisk", "BodiesHeld", "PartitionUnowned", "Unbalanced", "UsageMissing", "UsageDoubled", "ReconcileStopped", "LedgerMissed", "ReceiptsAbsent"}

// TestAlertTrials: every alert is tried, or stands among those that cannot be.
func TestAlertTrials(t *testing.T) {
	_, alerts := hastenedRules(t)
	tried := slices.Clone(ruleOnly)
	for name := range alertTrials {
		tried = append(tried, strings.Fields(name)...)
	}
	slices.Sort(tried)
	assert.Equal(t, alerts, tried)
}

// TestAlertsFireAndClear has a real Prometheus scrape real daemons to which it happens. The rules are those of
// deploy/, with minutes shortened and the ages of usage that count as old, too.
func TestAlertsFireAndClear(t *testing.T) {
	linuxOnly(t)
	if os.Getenv(prometheusVariable) == "" {
		t.Skipf("needs Prometheus (Debian's package prometheus): %s=1", prometheusVariable)
	}
	rules, _ := hastenedRules(t)
	var instances []string
	names := make(map[string]string, len(alertTrials)) // trial → instance
	for name := range alertTrials {
		names[name] = loopback(quietPort(t))
		instances = append(instances, names[name])
	}
	p := newPrometheus(t, rules, instances)
	ctx, stop := context.WithCancel(t.Context())
	watching := make(chan struct{})
	go func() { // ends with stop
		defer close(watching)
		p.watch(ctx)
	}()
	t.Run("trials", func(t *testing.T) {
		for name, run := range alertTrials {
			t.Run(strings.ReplaceAll(name, " ", "+"), func(t *testing.T) {
				t.Parallel() // they wait more than they work
				b := sandbox(t)
				run(&alertTrial{t: t, prometheus: p, instance: names[name], backend: b,
					settings: newSettings(t, b.url).set("admin.listen", names[name])})
			})
		}
	})
	stop()
	<-watching
}

// hastenedRules writes the rules with short times, and returns the file and the names of the alerts, sorted and
// without what all begin with.
func hastenedRules(t *testing.T) (file string, alerts []string) {
	text, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	short := regexp.MustCompile(`(\[|for: )(\d+)([mh])\b`).ReplaceAllStringFunc(string(text), func(found string) string {
		parts := regexp.MustCompile(`(\[|for: )(\d+)([mh])`).FindStringSubmatch(found)
		n, err := strconv.Atoi(parts[2])
		require.NoError(t, err)
		if parts[3] == "h" {
			n *= 60
		}
		return parts[1] + strconv.FormatInt((time.Duration(n)*alertMinute).Milliseconds(), 10) + "ms"
	})
	for long, soon := range map[string]string{"> 15 * 60": "> 1", "> 12 * 3600": "> 2", "> 5 * 60": "> 1"} {
		require.Contains(t, short, long)
		short = strings.ReplaceAll(short, long, soon)
	}
	file = filepath.Join(t.TempDir(), "alerts.yaml")
	require.NoError(t, os.WriteFile(file, []byte(short), 0o600))
	for _, found := range regexp.MustCompile(`alert: Reporterd(\w+)`).FindAllStringSubmatch(short, -1) {
		alerts = append(alerts, found[1])
	}
	slices.Sort(alerts)
	return file, alerts
}

var quietPorts atomic.Int32

// quietPort is a free port that no outgoing connection is given meanwhile, unlike freePort's.
func quietPort(t testing.TB) int {
	for range 1000 {
		port := 21_000 + int(quietPorts.Add(1))
		if l, err := net.Listen("tcp", loopback(port)); err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// begin starts the daemon and returns once it was scraped and nothing is wrong.
func (x *alertTrial) begin() {
	x.t.Helper()
	x.file = x.settings.write(x.t)
	x.start()
	eventually(x.t, 30*time.Second, "scraped, and quiet", func() bool {
		return len(x.prometheus.query(`up{instance="`+x.instance+`"} == 1`)) == 1 && !x.prometheus.fires(x.instance, "ReporterdDown")
	})
}

func (x *alertTrial) start() {
	x.t.Helper()
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
}

// fire waits for alerts to fire, each of which was not firing before what came before.
func (x *alertTrial) fire(alerts ...string) { x.await(true, alerts) }

// clear waits for alerts to be over.
func (x *alertTrial) clear(alerts ...string) { x.await(false, alerts) }

// firesWithin reports whether an alert fires within a time.
func (x *alertTrial) firesWithin(limit time.Duration, alert string) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); pause(x.t.Context(), scrapeEvery/2) {
		if x.prometheus.fires(x.instance, "Reporterd"+alert) {
			return true
		}
	}
	return false
}

func (x *alertTrial) await(firing bool, alerts []string) {
	x.t.Helper()
	began, word := time.Now(), map[bool]string{true: "fires", false: "clears"}[firing]
	for _, a := range alerts {
		eventually(x.t, 45*time.Second, a+" "+word, func() bool { return x.prometheus.fires(x.instance, "Reporterd"+a) == firing })
		x.t.Logf("%s %s after %v", a, word, time.Since(began).Round(10*time.Millisecond))
	}
}

// meanwhile does something again and again until what it returns is called.
func (x *alertTrial) meanwhile(do func(i int)) (stop func()) {
	ctx, cancel := context.WithCancel(x.t.Context())
	done := make(chan struct{})
	go func() { // ends with cancel
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			do(i)
			pause(ctx, scrapeEvery/2)
		}
	}()
	return func() { cancel(); <-done }
}
