package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (x *alertTrial) restarts() {
	x.begin()
	x.daemon.kill()
	x.fire("Down")
	x.start()
	x.clear("Down")
	for range 3 {
		x.daemon.kill()
		x.start()
		x.scraped("another start", `process_start_time_seconds{instance="%s"} == `+startOf(x.daemon))
	}
	x.fire("Restarting")
	x.clear("Restarting")
}

// startOf is when a daemon's process started, as it says itself.
func startOf(d *daemon) string {
	_, rest, _ := strings.Cut(metrics(d), "\nprocess_start_time_seconds ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// scraped waits until an expression about the instance has a value.
func (x *alertTrial) scraped(what, expr string) {
	x.t.Helper()
	eventually(x.t, 20*time.Second, what, func() bool { return len(x.prometheus.query(fmt.Sprintf(expr, x.instance))) > 0 })
}

// faults has every call of the kinds fail.
func (x *alertTrial) faults(f map[string]any, kinds ...string) {
	x.t.Helper()
	all := map[string]any{}
	for _, kind := range kinds {
		all[kind] = f
	}
	mustCall(x.t, http.StatusOK, http.MethodPut, x.backend.url+"/sandbox/faults", all)
}

func (x *alertTrial) outage() {
	x.begin()
	x.faults(map[string]any{"status": 503}, "report", "authorize")
	x.daemon.send(hit("1001", "app2"))
	x.fire("BackendAway", "UsageDelayed", "UsageExpiring")
	x.backend.heal()
	x.clear("BackendAway", "UsageDelayed", "UsageExpiring")
	assert.EqualValues(x.t, 1, x.daemon.drained(10*time.Second).Events.Delivered)
}

func (x *alertTrial) refusedToken() {
	x.begin()
	x.faults(map[string]any{"status": 403, "code": "service_token_invalid", "text": "no"}, "report", "authorize")
	x.daemon.send(hit("1001", "app2"))
	x.fire("LaneHeld")
	x.backend.heal()
	mustCall(x.t, http.StatusOK, http.MethodPost, x.daemon.admin+"/-/reload", nil)
	x.clear("LaneHeld")
}

func (x *alertTrial) lostAnswers() {
	x.begin()
	x.faults(map[string]any{"status": 500, "landed": true, "chance": 0.5}, "report")
	stop := x.meanwhile(func(int) { x.daemon.send(hit("1001", "app2")) })
	x.fire("Ambiguous")
	x.backend.heal()
	x.clear("Ambiguous")
	stop()
}

func (x *alertTrial) parking() {
	x.settings.set("sender.on_ambiguous", "park")
	x.begin()
	x.backend.failReports(fault{Status: 500})
	x.daemon.send(hit("1001", "app2"))
	x.fire("Parked")
	x.backend.heal()
	page := read[struct{ Parked []struct{ ID string } }](x.t, mustCall(x.t, http.StatusOK, http.MethodGet, x.daemon.admin+"/api/v1/parked", nil))
	require.NotEmpty(x.t, page.Parked)
	for _, p := range page.Parked {
		mustCall(x.t, http.StatusOK, http.MethodPost, x.daemon.admin+"/api/v1/parked/"+p.ID+"/resend", nil)
	}
	x.clear("Parked")
}

func (x *alertTrial) unansweredQuestions() {
	const applications = 400
	x.backend.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	x.settings.set("backend.timeout", "1s")
	x.begin()
	x.faults(map[string]any{"status": 503}, "authorize")
	fired := false
	for life := 0; life < 4 && !fired; life++ { // questions come ever more seldom, soon too seldom for hastened rules: a new life asks often again
		if life > 0 {
			x.daemon.stop()
			x.start()
		}
		stop := x.meanwhile(func(i int) { x.daemon.send(hit("1001", application(i%applications))) })
		fired = x.firesWithin(10*time.Second, "ProbationStuck")
		stop()
	}
	require.True(x.t, fired)
	x.backend.heal()
	x.clear("ProbationStuck")
}

func (x *alertTrial) poison() {
	x.settings.set("sender.negative_cache", "1s")
	x.begin()
	events := make([]event, 150)
	for i := range events {
		events[i] = hit("1001", fmt.Sprint("ghost-", i))
	}
	x.daemon.send(events...)
	x.fire("DeadLettersGrowing", "DeadLetters")
	out, err := command(x.t, "deadletter", "drop", "--all", "--yes", "--data-dir", x.settings.dataDir()).CombinedOutput()
	require.NoError(x.t, err, "%s", out)
	x.clear("DeadLettersGrowing", "DeadLetters")
}

func (x *alertTrial) slowBackend() {
	x.settings.set("sender.max_in_flight", 1).set("batch.aggregate", false)
	x.begin()
	x.daemon.send(hit("1001", "app2")) // the question about it is answered before all is slow
	x.daemon.drained(10 * time.Second)
	x.faults(map[string]any{"delay": "3s"}, "report")
	stop := x.meanwhile(func(int) { x.daemon.send(hit("1001", "app2")) })
	x.fire("Saturated")
	stop()
	x.backend.heal()
	x.clear("Saturated")
}

func (x *alertTrial) damage() {
	x.settings.set("backend.url", unreachable).set("batch.flush_interval", "1h")
	x.begin()
	for i := range 50 {
		x.daemon.send(hit("1001", fmt.Sprintf("bulk%d", i+1)))
	}
	x.scraped("nothing lost yet", `reporterd_events_lost_total{instance="%s"} == 0`)
	x.daemon.kill()
	flip(x.t, x.settings.dataDir(), "journal", "bulk25")
	x.settings.set("backend.url", x.backend.url).rewrite(x.t, x.file)
	x.start()
	x.fire("EventsLost", "Quarantine")
	x.daemon.send(hit("1001", "bulk1")) // to drain a segment of its own, behind which the damaged one goes
	x.daemon.drained(20 * time.Second)
	x.daemon.stop()
	for _, name := range filesIn(x.t, x.settings.dataDir(), "quarantine") {
		require.NoError(x.t, os.Remove(name))
	}
	x.start()
	x.clear("Quarantine", "EventsLost")
}

func (x *alertTrial) fullSpool() {
	x.settings.set("spool.max_bytes", "12MiB").set("authorize.mode", "allow").set("batch.flush_interval", "1h")
	x.begin()
	x.faults(map[string]any{"status": 503}, "report", "authorize")
	events := make([]event, 1500)
	stop := x.meanwhile(func(n int) {
		for i := range events {
			events[i] = hit("1001", fmt.Sprintf("bulk%d", i%50+1))
		}
		for _, some := range []int{len(events), 100, 10, 1} { // the last gap, too
			x.daemon.offer(events[:some]...)
		}
		if n < 40 {
			return
		}
		query := url.Values{"service_id": {"1001"}, "service_token": {"stoken1001"}, "app_id": {"app2"}, "usage[hits]": {"1"}}
		_, err := call(testClient, http.MethodGet, x.daemon.traffic+"/transactions/authrep.xml?"+query.Encode(), "", nil)
		assert.NoError(x.t, err)
	})
	x.fire("SpoolFilling", "SpoolFull", "Refusing", "Unbilled")
	stop()
	x.backend.heal()
	x.daemon.drained(20 * time.Second)
	x.clear("Refusing", "Unbilled", "SpoolFull", "SpoolFilling")
}

func (x *alertTrial) withoutSync() {
	x.settings.set("spool.sync", "never")
	x.begin()
	x.fire("SyncOff")
	x.settings.set("spool.sync", "always").rewrite(x.t, x.file)
	x.daemon.stop()
	x.start()
	x.clear("SyncOff")
}

func (x *alertTrial) badReload() {
	x.begin()
	require.NoError(x.t, os.WriteFile(x.file, []byte("services: [{id: \"1001\", tokn: x}]\n"), 0o600))
	mustCall(x.t, http.StatusUnprocessableEntity, http.MethodPost, x.daemon.admin+"/-/reload", nil)
	x.fire("ReloadRefused")
	x.settings.rewrite(x.t, x.file)
	mustCall(x.t, http.StatusOK, http.MethodPost, x.daemon.admin+"/-/reload", nil)
	x.clear("ReloadRefused")
}

func (x *alertTrial) wrongClock() {
	x.settings.set("authorize.ttl", "1s")
	x.begin()
	x.backend.faults(map[string]any{"backend": map[string]any{"clock": "-10m"}})
	stop := x.meanwhile(func(int) { x.daemon.authrep(testClient, "app2", "hits") })
	x.fire("ClockSkew")
	x.backend.heal()
	x.clear("ClockSkew")
	stop()
}

func (x *alertTrial) doubledSlice() {
	x.settings.set("services", x.backend.setUpReceipts()).set("sender.probe_rate", 5000).set("sender.negative_cache", "1s")
	x.backend.addApplications(450, func(i int) (service, name string) { return "1001", application(i) })
	x.begin()
	x.backend.faults(map[string]any{"worker": map[string]any{"times": 1, "least": 400, "restart": 430}})
	var all []event
	for i := range 450 {
		all = append(all, hit("1001", application(i)))
	}
	x.daemon.send(all...)
	x.fire("Miscounted")
	x.clear("Miscounted")
}

func (x *alertTrial) blindAuthorizations() {
	x.settings.set("authorize.ttl", "1s").set("authorize.timeout", "500ms")
	x.begin()
	ask := func(int) {
		query := url.Values{"service_id": {"1001"}, "service_token": {"stoken1001"}, "app_id": {"app2"}}
		_, err := call(testClient, http.MethodGet, x.daemon.traffic+"/transactions/authorize.xml?"+query.Encode(), "", nil)
		assert.NoError(x.t, err)
	}
	ask(0)
	x.faults(map[string]any{"status": 503}, "authorize")
	stop := x.meanwhile(ask)
	x.fire("AuthorizeBlind")
	x.backend.heal()
	x.clear("AuthorizeBlind")
	stop()
}

func (x *alertTrial) descriptors() {
	x.begin()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.daemon.cmd.Process.Pid))
	require.NoError(x.t, err)
	limit := func(n string) {
		out, err := exec.Command("prlimit", "--pid", strconv.Itoa(x.daemon.cmd.Process.Pid), "--nofile="+n).CombinedOutput()
		require.NoError(x.t, err, "%s", out)
	}
	limit(strconv.Itoa(len(open)+2) + ":4096")
	x.fire("FileDescriptors")
	limit("4096:4096")
	x.clear("FileDescriptors")
}

// messages: JetStream that acknowledges before it syncs, then a server that is away, then one that syncs.
func (x *alertTrial) messages() {
	port, monitor := quietPort(x.t), quietPort(x.t)
	store := filepath.Join(x.t.TempDir(), "store")
	run := func(sync bool) *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, HTTPHost: "127.0.0.1", HTTPPort: monitor,
			JetStream: true, StoreDir: store, SyncAlways: sync, NoLog: true, NoSigs: true})
		require.NoError(x.t, err)
		go s.Start() // ends with Shutdown
		require.True(x.t, s.ReadyForConnections(10*time.Second))
		return s
	}
	s := run(false)
	defer func() { s.Shutdown() }()
	conn, err := nats.Connect("nats://" + loopback(port))
	require.NoError(x.t, err)
	js, err := jetstream.New(conn)
	require.NoError(x.t, err)
	_, err = js.CreateStream(x.t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}})
	require.NoError(x.t, err)
	conn.Close()
	x.settings.set("nats.url", "nats://"+loopback(port)).set("nats.stream", "USAGE").set("nats.monitor_urls", "http://"+loopback(monitor))
	x.begin()
	x.fire("NATSUnsynced")
	s.Shutdown()
	s.WaitForShutdown()
	x.fire("NATSAway")
	s = run(true)
	x.clear("NATSAway")
	x.daemon.stop() // a server is asked at the start, then every few minutes
	x.start()
	x.clear("NATSUnsynced")
}
