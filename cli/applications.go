package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/portal"
)

func newApplications() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "applications SERVICE",
		Short: "List the applications of a service of the admin portal",
		Long: `Asks the admin portal which applications a service has. REPORTED AS is what
reports and the ledger name: the application id, or a hash of the user key,
which is a secret. The service is named by its id, system name or name.`,
		Example: `  reporterd applications 1001 --sandbox
  reporterd applications orders --account 42
  reporterd applications orders --output json | jq 'select(.state != "live")'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("applications: expected one service; reporterd services lists them")
			}
			return nil
		},
		ValidArgsFunction: completeServices,
		RunE:              asking(listApplications),
	}
	addPortal(cmd)
	cmd.Flags().Int64("account", 0, "only those of this account `id`")
	addOutput(cmd)
	return cmd
}

// applicationRow is an application in JSON.
type applicationRow struct {
	ID        int64  `json:"id"`
	Reported  string `json:"reported_as"`
	Name      string `json:"name"`
	State     string `json:"state"`
	ServiceID string `json:"service_id"`
	Plan      string `json:"plan"`
	AccountID int64  `json:"account_id"`
	Account   string `json:"account"`
}

func listApplications(ctx context.Context, s *terminal.Screen, p *portal.Client, _ *config.Config, cmd *cobra.Command, args []string) error {
	account, _ := cmd.Flags().GetInt64("account")
	one, err := findService(ctx, p, args[0])
	if err != nil {
		return err
	}
	all, err := applicationsOf(ctx, p, one.ServiceID())
	if err != nil {
		return err
	}
	list := s.List("ID", "REPORTED AS", "NAME", "STATE", "PLAN", "ACCOUNT")
	defer list.End()
	for _, a := range all {
		if account != 0 && a.AccountID != account {
			continue
		}
		row := applicationRow{a.ID, a.Reported, a.Name, a.State, strconv.FormatInt(a.ServiceID, 10), a.PlanName, a.AccountID, a.Account}
		if err := list.Add(row, a.ID, a.Reported, a.Name, stateCell(a.State), a.PlanName, a.Account); err != nil {
			return err
		}
	}
	return nil
}

// stateCell is the state of an application or an account: live ones are as they should be.
func stateCell(state string) terminal.Cell {
	if state == "live" || state == "approved" {
		return terminal.Cell{Text: state, Colour: terminal.Green}
	}
	return terminal.Cell{Text: state, Colour: terminal.Yellow}
}
