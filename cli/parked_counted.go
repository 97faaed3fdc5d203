package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console"
)

func newParkedCounted() *cobra.Command {
	return newDecision(console.Counted, "Book parked reports as delivered: 3scale has counted them",
		`Books parked reports as delivered, without sending them again. If 3scale has not
counted a report after all, its usage is never counted.`,
		`  reporterd parked counted 000000042000-0007
  reporterd parked counted --all`)
}
