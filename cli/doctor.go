package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/portal"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with the access to 3scale's admin portal",
		Long: `Looks at what reporterd needs of 3scale's admin portal, one thing after the
other: the address, the token, its scopes, the configured services, the clock.
Of what does not hold it says why, and what to do.

Exit status: 0 all is well, 1 something is not, 2 wrong usage of the command
line, 78 wrong configuration.`,
		Example: `  reporterd doctor --sandbox
  reporterd doctor --portal-url acme --access-token-file token.txt
  reporterd doctor --config reporterd.yaml --output json`,
		Args: noArguments,
		RunE: asking(examine),
	}
	addPortal(cmd)
	addOutput(cmd)
	return cmd
}

func examine(ctx context.Context, s *terminal.Screen, p *portal.Client, c *config.Config, _ *cobra.Command, _ []string) error {
	services := make([]string, len(c.Services))
	for i, one := range c.Services {
		services[i] = one.ID
	}
	ill := false
	list := s.List()
	for _, f := range p.CheckUp(ctx, services) {
		ill = ill || !f.OK
		mark := terminal.Cell{Text: "ok", Colour: terminal.Green}
		if !f.OK {
			mark = terminal.Cell{Text: "FAIL", Colour: terminal.Red}
		}
		if err := list.Add(f, mark, f.Name, f.Detail); err != nil {
			return err
		}
		if f.Advice != "" && !s.JSON() {
			_ = list.Add(nil, "", "", "→ "+f.Advice)
		}
	}
	list.End()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ill {
		return logged()
	}
	return nil
}
