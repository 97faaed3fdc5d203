package cli

import (
	"github.com/spf13/cobra"
)

func newShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, without secrets",
		Long: `Prints, as YAML, what serve would run with. What is not a default has a comment
that says where it came from. Secrets show as [redacted].`,
		Example: `  reporterd config show --config reporterd.yaml
  reporterd config show --sandbox`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sandbox, _ := cmd.Flags().GetBool("sandbox")
			c, _, err := load(cmd, sandbox)
			if err != nil {
				return unusable(err)
			}
			text, err := c.YAML()
			if err != nil {
				return failed(err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	addConfigFlags(cmd, "show what serve --sandbox would run with")
	return cmd
}
