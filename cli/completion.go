package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

// completionTimeout bounds what a shell waits for when the daemon is asked for values.
const completionTimeout = 2 * time.Second

// completionPage is how many values are offered at most.
const completionPage = 100

// values offers the values of an option or an argument that begin with what was typed.
type values = cobra.CompletionFunc

// fixedValues are the values of options that take one of a few words, or of which some words are usual.
var fixedValues = map[string][]string{
	"output": {"table", "json"}, "format": {"ndjson", "csv"}, "by": {"hour", "day", "month"}, "scopes": {"read", "write", "stats", "account_management"},
	"log-level": {"debug", "info", "warn", "error"}, "log-format": {"json", "console"}, "group": {"service", "application", "metric", "none"},
	"since": {"1h", "24h", "7d", "30d", "today", "yesterday", "month"}, "until": {"1h", "24h", "today", "yesterday", "now"},
	"older-than": {"1h", "24h", "7d", "30d"}, "expires": {"30d", "90d", "365d"}, "tz": {"UTC"}, "ids": {"content", "random", "own"},
}

// completeValues gives each option and argument of a command that has no completion of its own one. File names are offered only
// for options that take a file or a directory.
func completeValues(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, known := cmd.GetFlagCompletionFunc(f.Name); known || f.Value.Type() == "bool" {
			return
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, valuesOf(cmd, f)) // it fails only for a name that is none
	})
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
}

func valuesOf(cmd *cobra.Command, f *pflag.Flag) values {
	if words := fixedValues[f.Name]; words != nil {
		return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	}
	switch {
	case f.Name == "config" || f.Name == "file" || strings.HasSuffix(f.Name, "-file"):
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	case strings.HasSuffix(f.Name, "-dir"):
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case f.Name == "service" || f.Name == "services":
		return completeServices
	case f.Name == "reason":
		return completeReasons
	}
	return cobra.NoFileCompletions
}

// asked offers what a daemon answers. Where none can be asked, nothing is offered.
func asked(ask func(ctx context.Context, daemon *client.Client) ([]string, error)) values {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		daemon, err := namedDaemon(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
		defer cancel()
		all, err := ask(ctx, daemon)
		if err != nil {
			cobra.CompDebugln("reporterd: "+err.Error(), false)
		}
		return beginning(all, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// beginning are the words that begin with what was typed.
func beginning(all []string, typed string) (some []string) {
	for _, word := range all {
		if strings.HasPrefix(word, typed) && len(some) < completionPage {
			some = append(some, word)
		}
	}
	return some
}

// completeServices offers services: those that the daemon knows, or else those of the configuration.
func completeServices(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	some, directive := asked(func(ctx context.Context, daemon *client.Client) ([]string, error) {
		n, err := daemon.Names(ctx)
		return n.Services, err
	})(cmd, args, typed)
	if len(some) > 0 {
		return some, directive
	}
	return beginning(configuredServices(cmd), typed), directive
}

// configuredServices are the services of the configuration that the command line names, if it can be read.
func configuredServices(cmd *cobra.Command) (ids []string) {
	c, _, err := load(cmd, false)
	if err != nil {
		return nil
	}
	for _, s := range c.Services {
		ids = append(ids, s.ID)
	}
	return ids
}

func completeReasons(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return asked(func(ctx context.Context, daemon *client.Client) ([]string, error) {
		n, err := daemon.Names(ctx)
		return n.Reasons, err
	})(cmd, args, typed)
}

// completeLetters offers ids of dead letters, with what they are.
func completeLetters(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return asked(func(ctx context.Context, daemon *client.Client) (ids []string, err error) {
		r := &remote{daemon}
		for d, err := range each(ctx, r, console.DeadLetterQuery{Limit: letterPage}, nil) {
			if err != nil || len(ids) == letterPage {
				return ids, err
			}
			ids = append(ids, cobra.CompletionWithDesc(d.ID, d.ServiceID+" "+application(d.AppID, d.UserKey)+" "+d.Reason.Code))
		}
		return ids, nil
	})(cmd, args, typed)
}

// completeParked offers ids of parked reports, with what they are.
func completeParked(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return asked(func(ctx context.Context, daemon *client.Client) (ids []string, err error) {
		for p, err := range eachParked(ctx, daemon) {
			if err != nil || len(ids) == completionPage {
				return ids, err
			}
			ids = append(ids, cobra.CompletionWithDesc(p.ID, p.ServiceID+", "+count(int(p.Events), "event")))
		}
		return ids, nil
	})(cmd, args, typed)
}
