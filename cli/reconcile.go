package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/ledger/reconcile"
	"github.com/reporterd/reporterd/spool"
)

// compareTimeout bounds a comparison that a daemon makes: a hundred services take some minutes at two calls a second.
const compareTimeout = 30 * time.Minute

func newReconcile() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Hold what was delivered against what 3scale counted",
		Long: `Compares the ledger with 3scale's Analytics, for every service, application,
metric and hour, and says what is missing, what was counted without an answer,
and which batch it was. While a daemon uses the directory, it is the one that
compares; otherwise the ledger is read here.

Only hours that differ are shown, unless --all is given. Counts are final a day
after their hour; before that, what is missing may still come.

--resolve decides about parked reports (sender.on_ambiguous: park) of which the
counts tell what became of them. It asks before each, unless --yes is given, and
a report is decided about once.

Exit status: 0 all match, 3 something differs, 4 not verifiable yet, 1 it
failed, 2 wrong usage of the command line, 78 wrong configuration.`,
		Example: `  reporterd reconcile --config reporterd.yaml
  reporterd reconcile --service 2555417 --since 7d --all
  reporterd reconcile --output json | jq 'select(.verdict == "short")'
  reporterd reconcile --resolve`,
		Args: noArguments,
		RunE: runReconcile,
	}
	addLetters(cmd)
	cmd.Flags().StringArray("service", nil, "only this service `id`; may be given several times")
	cmd.Flags().String("since", "", "from this `time` on, or so long ago (72h, 7d); default: reconcile.since")
	cmd.Flags().Bool("all", false, "show hours that match, too")
	cmd.Flags().Bool("resolve", false, "decide about parked reports from what was counted")
	cmd.Flags().BoolP("yes", "y", false, "do not ask before each")
	addOutput(cmd)
	return cmd
}

func runReconcile(cmd *cobra.Command, _ []string) error {
	return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
		report, daemon, err := compareNow(ctx, s, cmd)
		if err != nil {
			return err
		}
		all, _ := cmd.Flags().GetBool("all")
		if err := showReport(s, report, all); err != nil {
			return err
		}
		if resolve, _ := cmd.Flags().GetBool("resolve"); resolve {
			if err := resolveParked(ctx, s, cmd, daemon, report); err != nil {
				return err
			}
		}
		return outcome(report)
	})
}

// compareNow has the daemon compare, or does it here where none runs.
func compareNow(ctx context.Context, s *terminal.Screen, cmd *cobra.Command) (*reconcile.Report, *client.Client, error) {
	services, _ := cmd.Flags().GetStringArray("service")
	since, _ := cmd.Flags().GetString("since")
	address, _ := cmd.Flags().GetString("admin-url")
	var daemon *client.Client
	if address == "" {
		c, err := directory(cmd)
		if err != nil {
			return nil, nil, err
		}
		inUse, _, err := spool.InUse(c.DataDir)
		if err != nil {
			return nil, nil, failed(err)
		}
		if !inUse {
			report, err := compareHere(ctx, s, c, services, since)
			return report, nil, err
		}
		if daemon, err = find(c); err != nil {
			return nil, nil, err
		}
	} else {
		var err error
		if daemon, err = dial(address); err != nil {
			return nil, nil, err
		}
	}
	daemon.SetTimeout(compareTimeout)
	q := url.Values{}
	for _, id := range services {
		q.Add("service_id", id)
	}
	if since != "" {
		q.Set("since", since)
	}
	s.Note("asking 3scale…")
	var answer struct {
		Enabled bool `json:"enabled"`
		reconcile.Report
	}
	err := daemon.Call(ctx, http.MethodPost, "/api/v1/reconcile?"+q.Encode(), nil, &answer)
	var refused *client.Refusal
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && len(services) > 0 {
		err = misuse(fmt.Errorf("--service: %w", err))
	}
	return &answer.Report, daemon, err
}

// compareHere reads the ledger of a directory that no daemon uses.
func compareHere(ctx context.Context, s *terminal.Screen, c *config.Config, services []string, since string) (*reconcile.Report, error) {
	if c.Portal.URL == "" {
		return nil, misuse(errors.New("portal.url: expected the admin portal, in the configuration given with --config"))
	}
	back := c.Reconcile.Since
	if since != "" {
		at, err := pastTime("--since", since, time.Now(), time.UTC)
		if err != nil {
			return nil, err
		}
		back = time.Since(at)
	}
	client, err := daemon.NewPortal(c, build(), "")
	if err != nil {
		return nil, unusable(err)
	}
	defer client.Close()
	l, err := ledger.Open(ledger.Options{Dir: c.DataDir, Keep: c.Ledger.Keep})
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	report, err := reconcile.Run(ctx, reconcile.Options{
		Ledger: l, Portal: client, Services: services, Since: back, Rules: daemon.ReconcileRules(c),
		Step: func(done, all int) { s.Progress("services", int64(done), int64(all)) },
	})
	var unknown *reconcile.UnknownService
	if errors.As(err, &unknown) {
		return nil, misuse(fmt.Errorf("--service: %w", err))
	}
	return report, err
}
