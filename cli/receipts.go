package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/daemon"
)

func newReceipts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receipts",
		Short: "Set up, check and remove the receipts that reports carry",
		Long: `Receipts are transactions of applications of their own in the reports of a
service. Their counters say what 3scale counted.`,
		RunE: showHelp,
	}
	cmd.AddCommand(newReceiptsSetup(), newReceiptsCheck(), newReceiptsRemove())
	return cmd
}

func newReceiptsCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask 3scale whether reports can carry their receipts",
		Long: `Asks 3scale for the receipt applications and metrics of each service that has
receipts in the configuration: that it knows the applications, that each shows
a counter for eternity of each metric, and that none is used up. It makes one
authorize call for each application, which counts nothing.

Exit status: 0 all is well, 1 something is not, 2 wrong usage of the command
line, 78 wrong configuration, or no service has receipts.`,
		Example: `  reporterd receipts check --config reporterd.yaml
  reporterd receipts check --config reporterd.yaml --output json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := newScreen(cmd)
			if err != nil {
				return err
			}
			c, _, err := load(cmd, false)
			if err != nil {
				return unusable(err)
			}
			findings, err := daemon.CheckReceipts(cmd.Context(), c)
			if err != nil {
				return unusable(err)
			}
			return showReceipts(s, findings)
		},
	}
	addConfigFlags(cmd, "")
	addOutput(cmd)
	return cmd
}

func showReceipts(s *terminal.Screen, findings []daemon.ReceiptFinding) error {
	list, ill := s.List(), false
	for _, f := range findings {
		mark, detail := terminal.Cell{Text: "ok", Colour: terminal.Green}, "reports can carry receipts"
		if f.Problem != "" {
			ill = true
			mark, detail = terminal.Cell{Text: "FAIL", Colour: terminal.Red}, f.Problem
		}
		if err := list.Add(f, mark, f.ServiceID, detail); err != nil {
			return err
		}
	}
	list.End()
	if ill {
		return logged()
	}
	return nil
}
