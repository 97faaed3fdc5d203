package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
)

// producerToken is the variable that holds a producer's token.
const producerToken = "REPORTERD_TOKEN"

const (
	sendTimeout = time.Minute // how long a request is tried, unless --timeout says otherwise
	sendEvents  = 1000        // events of a request, unless --batch says otherwise
	mostEvents  = 100_000     // that the daemon takes in one request
)

func newSend() *cobra.Command {
	o := sendOptions{}
	cmd := &cobra.Command{
		Use:   "send [FILE | -]",
		Short: "Send an event, a file of events, or standard input",
		Long: `Sends events to a daemon, and returns once they are on its disk. With --service
it sends the one event that the options describe; otherwise the events of a
file, or of standard input (-): JSON objects one a line or in an array, also
compressed with gzip.

Each event without an id gets one, so that a request whose answer is lost can be
repeated and is counted once. --ids says which:

  content   from the file's contents and the number of the event: the same file
            sent again within dedupe.window is counted once. The default for
            files
  random    the default for standard input and for one event
  own       none is added: an event without an id may be counted twice

When the daemon does not answer, or has no room (429, 503), a request is
repeated for as long as --timeout. Where an event is refused, nothing of its
request was taken, and nothing behind it was sent; correct it and run the
command again.

Exit status: 0 all are on disk, 1 some are not, 2 wrong usage of the command
line, 78 wrong configuration.`,
		Example: `  reporterd send --service 1001 --app app1 --usage hits=1
  reporterd send events.ndjson
  zcat events.ndjson.gz | reporterd send - --url https://reporterd.internal:7070
  reporterd send events.ndjson --output json | tail -1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("send: expected one file, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd, func(ctx context.Context, s *terminal.Screen) error { return o.run(ctx, s, cmd, args) })
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	o.define(cmd)
	return cmd
}

// sendOptions are the options of send.
type sendOptions struct {
	ids     string
	batch   int
	timeout time.Duration
}

func (o *sendOptions) define(cmd *cobra.Command) {
	addDirectory(cmd)
	set := cmd.Flags()
	set.Lookup("data-dir").Usage = "data `directory` of the daemon; default: the configuration's data_dir"
	set.String("url", "", "traffic listener of the daemon, as `URL`; default: that of the daemon that uses the directory")
	set.String("token-file", "", "`file` that holds a producer's token (also $"+producerToken+")")
	set.String("service", "", "`id` of the event's service")
	set.String("app", "", "`id` of the event's application")
	set.String("user-key", "", "user `key` of the event's application, instead of --app")
	set.StringSlice("usage", nil, "`metric=value` of the event; may be given several times")
	set.String("timestamp", "", "`when` the event happened: a time (RFC 3339), or so long ago (90m); default: now")
	set.Int("code", 0, "response `code` of the event: 100 to 999")
	set.String("id", "", "`id` of the event")
	set.StringVar(&o.ids, "ids", "", "ids of events without one: content, random or own")
	set.IntVar(&o.batch, "batch", sendEvents, "`events` of a request")
	addDuration(set, &o.timeout, "timeout", sendTimeout, "how long a request is repeated")
	addOutput(cmd)
}

func (o *sendOptions) check() error {
	switch {
	case o.ids != "" && o.ids != idsContent && o.ids != idsRandom && o.ids != idsOwn:
		return misuse(fmt.Errorf("--ids: %q: expected content, random or own", o.ids))
	case o.batch < 1 || o.batch > mostEvents:
		return misuse(fmt.Errorf("--batch: %d: expected 1 to %d", o.batch, mostEvents))
	case o.timeout <= 0:
		return misuse(fmt.Errorf("--timeout: %v: expected more than 0s", o.timeout))
	}
	return nil
}

func (o *sendOptions) run(ctx context.Context, s *terminal.Screen, cmd *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	source, err := o.source(cmd, args)
	if err != nil {
		return err
	}
	defer source.close()
	daemon, err := trafficOf(cmd)
	if err != nil {
		return err
	}
	d := &dispatch{daemon: daemon, screen: s, source: source, batch: o.batch, timeout: o.timeout, repeatable: o.ids != idsOwn}
	return d.run(ctx)
}

// source is where the events come from: the options, a file, or standard input.
func (o *sendOptions) source(cmd *cobra.Command, args []string) (*eventSource, error) {
	one, given, err := describedEvent(cmd, time.Now())
	switch {
	case err != nil:
		return nil, misuse(err)
	case given && len(args) > 0:
		return nil, misuse(errors.New("expected a file, or the options of one event, not both"))
	case given:
		return newEventSource("the event", strings.NewReader(one), int64(len(one)), orIDs(o.ids, idsRandom))
	case len(args) == 0:
		return nil, misuse(errors.New("expected a file, - for standard input, or --service and --usage for one event"))
	case args[0] == "-":
		return newEventSource("standard input", cmd.InOrStdin(), 0, orIDs(o.ids, idsRandom))
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, misuse(err)
	}
	size := int64(0)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return newEventSource(args[0], f, size, orIDs(o.ids, idsContent))
}

func orIDs(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

// describedEvent is the event that the options describe, as JSON.
func describedEvent(cmd *cobra.Command, now time.Time) (text string, given bool, err error) {
	word := func(name string) string { text, _ := cmd.Flags().GetString(name); return text }
	for _, name := range []string{"service", "app", "user-key", "usage", "timestamp", "code", "id"} {
		given = given || cmd.Flags().Changed(name)
	}
	if !given {
		return "", false, nil
	}
	usage, _ := cmd.Flags().GetStringSlice("usage")
	if word("service") == "" || len(usage) == 0 {
		return "", true, errors.New("expected --service and --usage: the event's service, and metric=value")
	}
	event := map[string]any{"service_id": word("service")}
	for option, field := range map[string]string{"app": "app_id", "user-key": "user_key", "id": "id"} {
		if text := word(option); text != "" {
			event[field] = text
		}
	}
	metrics := make(map[string]uint64, len(usage))
	for _, pair := range usage {
		metric, value, _ := strings.Cut(pair, "=")
		n, err := strconv.ParseUint(value, 10, 64)
		if metric == "" || err != nil {
			return "", true, fmt.Errorf("--usage: %q: expected metric=value, such as hits=1", pair)
		}
		metrics[metric] = n
	}
	event["usage"] = metrics
	if text := word("timestamp"); text != "" {
		at, err := pastTime("--timestamp", text, now, time.UTC)
		if err != nil {
			return "", true, err
		}
		event["timestamp"] = at.Unix()
	}
	if code, _ := cmd.Flags().GetInt("code"); code != 0 {
		event["response_code"] = code
	}
	return marshalled(event), true, nil
}

// trafficOf is the traffic listener of --url, or of the daemon that uses the directory.
func trafficOf(cmd *cobra.Command) (*client.Client, error) {
	token := strings.TrimSpace(os.Getenv(producerToken))
	if name, _ := cmd.Flags().GetString("token-file"); name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, misuse(fmt.Errorf("--token-file: %w", err))
		}
		token = strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	}
	address, _ := cmd.Flags().GetString("url")
	if address == "" {
		c, err := directory(cmd)
		if err != nil {
			return nil, err
		}
		daemon, err := client.FindTraffic(c.DataDir, c.Listen, token)
		if err != nil {
			return nil, misuse(fmt.Errorf("--url: %w", err))
		}
		return daemon, nil
	}
	daemon, err := client.NewTraffic(address, token)
	if err != nil {
		return nil, misuse(fmt.Errorf("--url: %w", err))
	}
	return daemon, nil
}
