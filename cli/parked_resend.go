package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console"
)

func newParkedResend() *cobra.Command {
	return newDecision(console.Resend, "Send parked reports again: 3scale has not counted them",
		`Sends parked reports again. If 3scale has counted a report after all, its usage
is counted twice.`,
		`  reporterd parked resend 000000042000-0007
  reporterd parked resend --service 2555417 --yes`)
}
