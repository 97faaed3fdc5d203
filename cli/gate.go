package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/gate"
)

func newGate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Check and try the rules by which proxies' questions are answered",
		Long: `Reads the file of gate.rules, and with gate.portal what is kept of the portal's
configurations: hosts, places of credentials and the rules that turn requests
into usage. Nothing is asked and nothing is counted.`,
		Args: noArguments,
		RunE: showHelp,
	}
	cmd.AddCommand(newGateCheck(), newGateTest())
	return cmd
}

func newGateCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the file of rules, by field",
		Long: `Reads the file of rules as serve would and says everything that is wrong with
it, a line each: field and expectation.`,
		Example: `  reporterd gate check --config reporterd.yaml
  reporterd gate check --rules gate.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, file, faults, err := gateRules(cmd)
			if err != nil {
				return err
			}
			rules := 0
			for _, one := range s.All() {
				rules += len(one.Rules)
			}
			state := "fine"
			if len(faults) > 0 {
				state = "usable"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s, %s\n", file, state, count(len(s.All()), "service"), count(rules, "rule"))
			for _, line := range faults {
				_, _ = fmt.Fprintln(cmd.OutOrStdout(), "  "+line)
			}
			return err
		},
	}
	addGateRules(cmd)
	return cmd
}

func newGateTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test METHOD URL",
		Short: "Say which rules match a call, and what it would count",
		Long: `Says what the file of rules makes of one call: the service by the host of the
URL, the path as the rules see it, the rules that match in their order, and the
usage. A call that no rule matches is refused with 404.`,
		Example: `  reporterd gate test GET 'https://api.example.com/search?q=tea' --rules gate.yaml
  reporterd gate test POST /orders --config reporterd.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misuse(errors.New("expected the method and the URL of a call: reporterd gate test GET /search"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, _, err := gateRules(cmd)
			if err != nil {
				return err
			}
			host, target := splitTarget(args[1])
			t := s.Try(strings.ToUpper(args[0]), host, target)
			return showTrial(cmd.OutOrStdout(), &t)
		},
	}
	addGateRules(cmd)
	return cmd
}

func addGateRules(cmd *cobra.Command) {
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	cmd.Flags().String("rules", "", "the `file` of rules; default: gate.rules of the configuration")
}

// gateRules reads the file of rules, and where the configuration says so what is kept of the portal's. It returns the name of both, and
// what cannot be taken over from the portal.
func gateRules(cmd *cobra.Command) (s *gate.Services, name string, faults []string, err error) {
	file, _ := cmd.Flags().GetString("rules")
	var c *config.Config
	if file == "" {
		if c, _, err = load(cmd, false); err != nil {
			return nil, "", nil, unusable(err)
		}
		if file = c.Gate.Rules; file == "" && !c.Gate.Portal {
			return nil, "", nil, misuse(errors.New("--rules: expected a file of rules: gate.rules is not configured"))
		}
	}
	if s, err = gate.Read(file); err != nil {
		return nil, file, nil, unusable(err)
	}
	if c == nil || !c.Gate.Portal {
		return s, file, nil, nil
	}
	var ids []string
	for i := range c.Services {
		ids = append(ids, c.Services[i].ID)
	}
	list, problems, err := gate.ReadKept(daemon.GateDir(c), ids)
	if err != nil {
		return nil, file, nil, err
	}
	for _, id := range ids {
		for _, line := range problems[id] {
			faults = append(faults, "service "+id+": "+line)
		}
	}
	s, common := s.With(list, true)
	return s, strings.TrimPrefix(file+" and ", " and ") + daemon.GateDir(c), append(faults, common...), nil
}

// splitTarget takes a URL, or a path, apart as proxies do: the target stays as it is written.
func splitTarget(text string) (host, target string) {
	_, rest, absolute := strings.Cut(text, "://")
	if !absolute {
		return "", text
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return strings.ToLower((&url.URL{Host: rest}).Hostname()), "/"
	}
	if target = rest[end:]; target[0] == '?' {
		target = "/" + target
	}
	return strings.ToLower((&url.URL{Host: rest[:end]}).Hostname()), target
}

// showTrial prints what a file makes of a call.
func showTrial(w io.Writer, t *gate.Trial) error {
	var b strings.Builder
	if t.Service != nil {
		fmt.Fprintf(&b, "service %s (%s), path %s\n", t.Service.ID, t.Service.Origin, t.Path)
	}
	for _, r := range t.Matched {
		method := r.Method
		if method == "" {
			method = "any method"
		}
		fmt.Fprintf(&b, "  %s %s: %s +%d", method, r.Pattern, r.Metric, r.Delta)
		if r.Last {
			b.WriteString(", last")
		}
		b.WriteByte('\n')
	}
	if t.Why != "" {
		fmt.Fprintf(&b, "refused: %s\n", t.Why)
	} else {
		fmt.Fprintf(&b, "counts %s\n", strings.Join(t.Usage, " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
