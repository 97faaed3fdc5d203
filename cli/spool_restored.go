package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

func newRestored() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Say that a data directory was restored from a copy",
		Long: `Says that the data directory was restored from a backup or rolled back to a
snapshot. Run it while the daemon is stopped. The next start then sends nothing
of what the copy holds as undelivered, since the original may have delivered it:
it parks those events until you decide about them, and gives the directory a new
identity. New events are accepted and sent as ever.

With --resend the next start sends what the copy holds as undelivered: for a
directory that was moved, and that nothing was delivered from since.

A copy made with cp, rsync or tar into another directory is noticed without
this.`,
		Example: `  reporterd spool restored --data-dir /var/lib/reporterd
  reporterd spool restored --resend --config /etc/reporterd/reporterd.yaml`,
		Args: noArguments,
		RunE: inspecting(func(_ context.Context, s *terminal.Screen, c *config.Config, cmd *cobra.Command, _ []string) error {
			if err := checkOwner(c.DataDir); err != nil {
				return err
			}
			resend, _ := cmd.Flags().GetBool("resend")
			if err := spool.MarkRestored(c.DataDir, resend); err != nil {
				return err
			}
			if s.JSON() {
				return s.Object(map[string]any{"data_dir": c.DataDir, "resend": resend})
			}
			what := "parks what it holds as undelivered"
			if resend {
				what = "sends what it holds as undelivered"
			}
			s.Printf("%s: the next start %s\n", c.DataDir, what)
			return nil
		}),
	}
	addDirectory(cmd)
	cmd.Flags().Bool("resend", false, "send what the copy has not delivered, instead of parking it")
	addOutput(cmd)
	return cmd
}
