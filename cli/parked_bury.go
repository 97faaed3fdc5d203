package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console"
)

func newParkedBury() *cobra.Command {
	return newDecision(console.Bury, "Make dead letters of parked reports",
		`Makes dead letters of parked reports, with the reason ambiguous: they can be
exported, requeued or dropped later.`,
		`  reporterd parked bury 000000042000-0007
  reporterd parked bury --older-than 30d --yes`)
}
