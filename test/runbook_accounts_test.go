package test

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var accountRows = map[string][]remedy{
	"UsageMissing": {
		{text: "correct the cause first.", by: "TestReconcile"},
		{text: "Usage older than 24 hours can only be counted at the present time: decide with the billing department whether it is to be sent again ([reconcile.md](reconcile.md)).", left: "a decision about money"},
	},
	"UsageDoubled": {
		{text: "find other programs that report usage of these services; set `reconcile.exclusive: false` if they should.", by: "TestReconcileWitness"},
		{text: "For what was counted twice, correct the invoice; `sender.on_ambiguous: park` keeps it from happening again.", act: (*runbook).parks},
	},
	"ReconcileStopped": {
		{text: "what it says: an expired token, a missing right, an address.", act: (*runbook).doesWhatTheDoctorSays},
	},
	"LedgerMissed": {
		{text: "give the disk room. What was missed cannot be recovered; to begin with an empty ledger, stop the daemon and delete `ledger.db`.", act: (*runbook).beginsAnEmptyLedger},
	},
}

func (x *runbook) doesWhatTheDoctorSays() {
	token := filepath.Join(x.t.TempDir(), "token")
	require.NoError(x.t, os.WriteFile(token, []byte("atoken-stats"), 0o600))
	x.settings.set("portal.url", x.backend.url).set("portal.access_token_file", token)
	x.file = x.settings.write(x.t)
	out, err := command(x.t, "doctor", "--config", x.file).CombinedOutput()
	require.Error(x.t, err)
	assert.Contains(x.t, strings.Join(strings.Fields(string(out)), " "), "give the token the scope Account Management API")
	require.NoError(x.t, os.WriteFile(token, []byte("atoken"), 0o600))
	out, err = command(x.t, "doctor", "--config", x.file).CombinedOutput()
	require.NoError(x.t, err, "%s", out)
}

func (x *runbook) beginsAnEmptyLedger() {
	file := filepath.Join(x.settings.dataDir(), "ledger.db")
	require.NoError(x.t, os.MkdirAll(filepath.Join(file, "x"), 0o700)) // it cannot be opened
	x.begin()
	x.sees("usage is not booked", func() bool { return x.figure("reporterd_ledger_missed")+x.figure("reporterd_ledger_stopped") > 0 })
	x.daemon.stop()
	require.NoError(x.t, os.RemoveAll(file))
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	x.daemon.send(hit("1001", "app1"))
	x.delivered(1)
	x.daemon.booked()
	assert.Zero(x.t, x.figure("reporterd_ledger_missed")+x.figure("reporterd_ledger_stopped"))
}
