package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var deliveryRows = map[string][]remedy{
	"UsageDelayed": {
		{text: "what the alert beside it says: ReporterdBackendAway, ReporterdLaneHeld, ReporterdSaturated, ReporterdProbationStuck or ReporterdParked.", left: "those rows are carried out"},
		{text: "If no other alert fires, the backend answers only some of the calls: look at `sum by (verdict, status) (rate(reporterd_report_answers_total[5m]))`.", act: (*runbook).looksAtTheAnswers},
	},
	"UsageExpiring": {
		{text: "get the backend or the credentials back within the time that is left.", act: (*runbook).comesBackInTime},
		{text: "If that is not possible, set `sender.expired: restamp` and restart: usage is then counted on the day it is delivered.", act: (*runbook).restamps},
		{text: "Nothing on disk expires by itself; dead letters can be requeued with `--restamp` later.", act: (*runbook).requeuesExpired},
	},
	"BackendAway": {
		{text: "restore the connection; reporterd needs no restart and continues within half a minute, with `reporterd flush` at once.", act: (*runbook).flushes},
		{text: "Watch ReporterdSpoolFilling; by then free some disk or raise `spool.max_bytes`.", left: "that row is carried out"},
	},
	"LaneHeld": {
		{text: "put the right token where the configuration names it and `systemctl reload reporterd`: the lane goes on at once.", act: (*runbook).getsTheRightToken},
		{text: "In 3scale a token is valid when it belongs to this very service.", left: "to know"},
	},
	"Saturated": {
		{text: "for full batches raise `sender.max_in_flight`; for half-empty ones `batch.flush_interval`.", act: (*runbook).hasMoreInFlight},
		{text: "If the limit is far below `max_in_flight`, the backend is slow.", left: "to know"},
	},
	"Ambiguous": {
		{text: "for timeouts raise `backend.timeout` above what `reporterd_report_seconds` shows;", act: (*runbook).waitsLonger},
		{text: "for 502 and 504 look at the proxy between.", left: "reporterd cannot inspect a proxy"},
		{text: "If counting twice is worse than counting late, set `sender.on_ambiguous: park`.", act: (*runbook).parks},
	},
	"Parked": {
		{text: "decide for each: `reporterd parked resend ID` if it was not counted, `reporterd parked counted ID` if it was, `reporterd parked bury ID` to make dead letters of it;", act: (*runbook).decides},
		{text: "or `reporterd reconcile --resolve`, which decides by what 3scale counted.", by: "TestReconcile"},
	},
	"Miscounted": {
		{text: "ask the operator of 3scale why a worker was killed, or its database restarted, at that moment; correct the invoice by what `reconcile` shows.", left: "a person is asked, and an invoice is a person's"},
	},
	"ReceiptsAbsent": {
		{text: "`reporterd receipts setup --service ID` makes again what is missing. The daemon notices within a minute or two.", by: "TestReceiptsSetup"},
	},
	"ProbationStuck": {
		{text: "the same as for ReporterdBackendAway, for the path `/transactions/authorize.xml`: a proxy may let only reports through.", act: (*runbook).letsQuestionsThrough},
	},
	"DeadLetters": {
		{text: "[deadletters.md](deadletters.md): create what is missing and requeue, or export and drop.", act: (*runbook).requeuesOrDrops},
	},
	"DeadLettersGrowing": {
		{text: "stop the cause first: `services[].metrics` makes reporterd refuse unknown metrics with 422, so that the producer sees it. Then requeue.", act: (*runbook).refusesUnknownMetrics},
	},
}

// always has every call of the kinds fail in a way.
func (x *runbook) always(f map[string]any, kinds ...string) {
	x.t.Helper()
	all := map[string]any{}
	for _, kind := range kinds {
		all[kind] = f
	}
	mustCall(x.t, http.StatusOK, http.MethodPut, x.backend.url+"/sandbox/faults", all)
}

func (x *runbook) looksAtTheAnswers() {
	x.begin()
	x.always(map[string]any{"status": 503, "chance": 0.5}, "report")
	x.sees("answers by verdict and status", func() bool {
		x.daemon.send(hit("1001", "app1"))
		return x.figure("reporterd_report_answers_total", `verdict="retry"`, `status="503"`) > 0 && x.figure("reporterd_report_answers_total", `verdict="delivered"`) > 0
	})
}

func (x *runbook) comesBackInTime() {
	x.begin()
	x.always(map[string]any{"status": 503}, "report", "authorize")
	x.daemon.send(hit("1001", "app1"))
	x.state("retrying")
	x.sees("it ages", func() bool { return x.figure("reporterd_spool_oldest_age_seconds") > 0.2 })
	x.backend.heal()
	x.delivered(1)
}

// flushes: after some failures in a row the next attempt is seconds away. An order does not wait for it.
func (x *runbook) flushes() {
	x.begin()
	x.always(map[string]any{"status": 503}, "report", "authorize")
	x.daemon.send(hit("1001", "app1"))
	for range 12 { // attempts, each of which doubles the time to the next
		x.daemon.flush()
	}
	x.state("retrying")
	x.backend.heal()
	x.run("flush")
	x.delivered(1)
}

// expiring is usage that no longer fits into the backend's 24 hours once it can be sent.
func (x *runbook) expiring() {
	x.settings.set("sender.expired_margin", "12h").set("batch.max_flush_interval", "1s")
	x.begin()
	old := hit("1001", "app1")
	at := time.Now().Add(-12*time.Hour + 40*time.Second) // the latest that is taken has half a minute left
	old.Timestamp = at.Unix()
	x.always(map[string]any{"status": 503}, "report", "authorize")
	x.daemon.send(old)
	eventually(x.t, time.Minute, "it is too old", func() bool { return time.Since(at) > 12*time.Hour })
}

func (x *runbook) restamps() {
	x.expiring()
	x.settings.set("sender.expired", "restamp").rewrite(x.t, x.file)
	x.daemon.kill() // a stop would try to send it
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	x.backend.heal()
	eventually(x.t, 45*time.Second, "it is counted", func() bool { return x.backend.usage()["1001"]["app1"]["hits"] == 1 })
}

func (x *runbook) requeuesExpired() {
	x.expiring()
	x.backend.heal()
	x.sees("a dead letter", func() bool { return x.figure("reporterd_spool_dead_letters") == 1 })
	x.run("deadletter", "requeue", "--all", "--restamp", "--yes")
	eventually(x.t, 45*time.Second, "it is counted", func() bool { return x.backend.usage()["1001"]["app1"]["hits"] == 1 })
	x.sees("none left", func() bool { return x.figure("reporterd_spool_dead_letters") == 0 })
}

func (x *runbook) getsTheRightToken() {
	token := filepath.Join(x.t.TempDir(), "token")
	require.NoError(x.t, os.WriteFile(token, []byte("wrong"), 0o600))
	x.settings.set("services", []any{map[string]any{"id": "1001", "token_file": token}})
	x.begin()
	x.daemon.send(hit("1001", "app1"))
	x.state("held")
	require.NoError(x.t, os.WriteFile(token, []byte("stoken1001"), 0o600))
	x.reload()
	x.delivered(1)
}

func (x *runbook) hasMoreInFlight() {
	x.settings.set("sender.max_in_flight", 1)
	x.begin()
	for _, app := range []string{"app1", "app2"} {
		x.daemon.send(hit("1001", app))
	}
	x.delivered(2) // they are proven before all is slow
	assert.EqualValues(x.t, 1, x.figure("reporterd_report_in_flight_limit"))
	x.settings.set("sender.max_in_flight", 4).set("batch.flush_interval", "300ms")
	x.restart()
	assert.Greater(x.t, x.figure("reporterd_report_in_flight_limit"), 1.0)
}

func (x *runbook) waitsLonger() {
	x.settings.set("backend.timeout", "1s")
	x.begin()
	x.always(map[string]any{"delay": "1500ms"}, "report")
	x.daemon.send(hit("1001", "app1"))
	x.sees("no answer in time", func() bool {
		return x.figure("reporterd_report_answers_total", `verdict="ambiguous"`, `status="none"`) > 0
	})
	x.settings.set("backend.timeout", "10s")
	x.restart()
	x.sees("answered in time", func() bool { return x.daemon.status().Events.Pending == 0 })
	assert.Zero(x.t, x.figure("reporterd_report_answers_total", `verdict="ambiguous"`), "since the restart")
}

func (x *runbook) parks() {
	x.settings.set("sender.on_ambiguous", "park")
	x.begin()
	x.always(map[string]any{"status": 500, "landed": true}, "report")
	x.daemon.send(hit("1001", "app1"))
	x.sees("parked", func() bool { return x.figure("reporterd_parked_batches") == 1 })
	x.backend.heal()
	x.daemon.flush()
	assert.EqualValues(x.t, 1, x.backend.usage()["1001"]["app1"]["hits"], "it is not sent again")
}

func (x *runbook) decides() {
	x.settings.set("sender.on_ambiguous", "park")
	x.begin()
	for i, app := range []string{"app1", "app2", "bulk1"} {
		x.backend.failReports(fault{Status: 500, Times: 1, Landed: app == "app2"})
		x.daemon.send(hit("1001", app))
		x.daemon.flush()
		x.sees("parked", func() bool { return x.figure("reporterd_parked_batches") == float64(i+1) })
	}
	x.backend.heal()
	for app, fate := range map[string]string{"app1": "resend", "app2": "counted", "bulk1": "bury"} {
		x.run("parked", fate, x.parkedOf(app), "--yes") // it would ask
	}
	x.sees("none is parked", func() bool { return x.figure("reporterd_parked_batches") == 0 })
	x.sees("each is counted once, or dead", func() bool {
		got := x.backend.usage()["1001"]
		return got["app1"]["hits"] == 1 && got["app2"]["hits"] == 1 && got["bulk1"]["hits"] == 0 && x.figure("reporterd_spool_dead_letters") == 1
	})
}

// parkedOf finds the parked report with an application's usage, as a person does.
func (x *runbook) parkedOf(app string) string {
	x.t.Helper()
	page := read[struct{ Parked []struct{ ID string } }](x.t, mustCall(x.t, http.StatusOK, http.MethodGet, x.daemon.admin+"/api/v1/parked", nil))
	for _, p := range page.Parked {
		if strings.Contains(x.run("parked", "show", p.ID), app) {
			return p.ID
		}
	}
	x.t.Fatalf("no parked report with %s: %v", app, page)
	return ""
}

func (x *runbook) letsQuestionsThrough() {
	x.begin()
	x.always(map[string]any{"status": 503}, "authorize")
	for i := range 5 {
		x.daemon.send(hit("1001", []string{"app1", "app2", "bulk1", "bulk2", "bulk3"}[i]))
	}
	x.sees("questions fail", func() bool { return x.figure("reporterd_probation_failed_total") > 0 })
	x.backend.heal()
	x.delivered(5)
	assert.Zero(x.t, x.figure("reporterd_probation_batches"))
}

func (x *runbook) requeuesOrDrops() {
	x.settings.set("sender.negative_cache", "1s")
	x.begin()
	x.daemon.send(hit("1001", "late"), hit("1001", "never"))
	x.sees("dead letters", func() bool { return x.figure("reporterd_spool_dead_letters") == 2 })
	x.backend.addApplications(1, func(int) (service, name string) { return "1001", "late" })
	x.run("deadletter", "requeue", "--reason", "application_not_found", "--yes")
	x.sees("it is counted", func() bool { return x.backend.usage()["1001"]["late"]["hits"] == 1 })
	x.sees("the other is dead again", func() bool {
		return x.daemon.status().Events.Pending == 0 && x.figure("reporterd_spool_dead_letters") == 1
	})
	assert.Contains(x.t, x.run("deadletter", "export"), "never")
	x.run("deadletter", "drop", "--all", "--yes")
	x.sees("none left", func() bool { return x.figure("reporterd_spool_dead_letters") == 0 })
}

func (x *runbook) refusesUnknownMetrics() {
	x.settings.set("sender.negative_cache", "1s")
	x.begin()
	strange := hit("1001", "app1")
	strange.Usage = map[string]uint64{"renamed": 1}
	x.daemon.send(strange)
	x.sees("a dead letter", func() bool { return x.figure("reporterd_dead_letter_events_total", `reason="metric_invalid"`) == 1 })
	x.settings.set("services", []any{map[string]any{"id": "1001", "token": "stoken1001", "metrics": []string{"hits"}}}).rewrite(x.t, x.file)
	x.reload()
	x.sees("the producer sees it", func() bool { return x.daemon.offer(strange).status == http.StatusUnprocessableEntity })
}
