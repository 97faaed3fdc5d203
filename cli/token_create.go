package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/access"
)

func newTokenCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token, print it once, and write its entry",
		Long: `Makes a token of 256 random bits and prints it: it cannot be shown again. Its
entry, which holds a hash of it, is added to --file, or printed on standard
error to be added by hand. With --services it is a producer's, with --scopes an
operator's; one with the scopes stats and account_management may have
--services, too: it sees no other ones. The daemon knows it after a reload.`,
		Example: `  reporterd token create --name checkout --services 1001 --file producers.yaml
  reporterd token create --name grafana --scopes read --file operators.yaml
  reporterd token create --name batch --services '*' > token`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token := access.NewToken()
			if err := writeEntry(cmd, token); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	addEntry(cmd)
	return cmd
}
