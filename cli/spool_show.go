package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

func newSpoolShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show BATCH | SEGMENT",
		Short: "Print a live batch, or the frames of a segment",
		Long: `Prints a live batch with everything that is known of its delivery and its
transactions, or the frames of a segment. Credentials are never printed, user
keys only with --reveal-user-keys.

A batch that was delivered, split or dead-lettered is not live any more; dead
letters are for reporterd deadletter.`,
		Example: `  reporterd spool show 000000042000-0007
  reporterd spool show batches/00000000000000000001-0000.seg
  reporterd spool show 000000042000-0007 --output json | jq .transactions`,
		Args: oneArgument("the id of a batch, or a file that spool ls names"),
		RunE: inspecting(func(ctx context.Context, s *terminal.Screen, c *config.Config, cmd *cobra.Command, args []string) error {
			if strings.HasSuffix(args[0], ".seg") {
				return showSegment(ctx, s, c.DataDir, args[0])
			}
			id, err := spool.ParseBatchID(args[0])
			if err != nil {
				return misuse(fmt.Errorf("%q: expected the id of a batch (000000042000-0007), or a file that spool ls names", args[0]))
			}
			reveal, _ := cmd.Flags().GetBool("reveal-user-keys")
			return showBatch(ctx, s, c.DataDir, id, reveal)
		}),
	}
	addDirectory(cmd)
	cmd.Flags().Bool("reveal-user-keys", false, "print user keys, which are secrets")
	addOutput(cmd)
	return cmd
}

// batchView is a batch in JSON.
type batchView struct {
	ID           string            `json:"id"`
	ServiceID    string            `json:"service_id"`
	Credentials  string            `json:"credentials"` // configured, or [redacted]
	FlatUsage    bool              `json:"flat_usage,omitempty"`
	Events       uint64            `json:"events"`
	Bytes        int               `json:"bytes"`
	Accepted     time.Time         `json:"oldest_accepted"`
	Sealed       time.Time         `json:"sealed"`
	Attempts     int               `json:"attempts"`
	Ambiguous    int               `json:"ambiguous"`
	Undecided    int               `json:"undecided"` // of the ambiguous, those without an operator's decision
	Attempted    time.Time         `json:"last_attempt"`
	Transactions []transactionView `json:"transactions"`
}

type transactionView struct {
	AppID     string            `json:"app_id,omitempty"`
	UserKey   string            `json:"user_key,omitempty"`
	Timestamp time.Time         `json:"timestamp"`
	Code      int               `json:"response_code,omitempty"`
	Events    uint32            `json:"events"`
	Usage     map[string]uint64 `json:"usage"`
}

func showBatch(ctx context.Context, s *terminal.Screen, dir string, id spool.BatchID, reveal bool) error {
	in, err := spool.Inspect(ctx, spool.InspectOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	b, info, err := in.Batch(id)
	if errors.Is(err, spool.ErrUnknownBatch) {
		return misuse(fmt.Errorf("%w: it was delivered, split, lost or dead-lettered, or there never was one of that id", err))
	}
	if err != nil {
		return err
	}
	v := batchView{
		ID: id.String(), ServiceID: info.Lane.ServiceID, Credentials: namedCredentials(info.Lane), FlatUsage: info.FlatUsage,
		Events: info.Events, Bytes: info.Bytes, Accepted: info.OldestAccepted.UTC(), Sealed: info.Sealed.UTC(),
		Attempts: info.Attempts, Ambiguous: info.Ambiguous, Undecided: info.Unresolved, Attempted: info.Attempted.UTC(),
	}
	for i := range b.Transactions {
		v.Transactions = append(v.Transactions, viewTransaction(&b.Transactions[i], reveal))
	}
	if s.JSON() {
		return s.Object(v)
	}
	batchTable(s, &v)
	return nil
}

func viewTransaction(t *spool.Transaction, reveal bool) transactionView {
	v := transactionView{
		AppID: t.Application.ID, UserKey: t.Application.UserKey, Timestamp: time.Unix(t.Timestamp, 0).UTC(), Code: t.Code,
		Events: t.Events, Usage: make(map[string]uint64, len(t.Usage)),
	}
	if v.UserKey != "" && !reveal {
		v.UserKey = redactedText
	}
	for _, u := range t.Usage {
		v.Usage[u.Metric] += u.Value
	}
	return v
}

// redactedText stands in the place of a secret.
const redactedText = "[redacted]"

func batchTable(s *terminal.Screen, v *batchView) {
	s.Fields([][2]string{
		{"batch", v.ID}, {"service", v.ServiceID}, {"credentials", v.Credentials},
		{"events", fmt.Sprintf("%d in %s, %s", v.Events, count(len(v.Transactions), "transaction"), terminal.Size(int64(v.Bytes)))},
		{"accepted", terminal.Time(v.Accepted)}, {"sealed", terminal.Time(v.Sealed)},
		{"attempts", fmt.Sprintf("%d, %d with an unknown outcome (%d undecided)", v.Attempts, v.Ambiguous, v.Undecided)},
		{"last attempt", terminal.Time(v.Attempted)}, {"flat usage", fmt.Sprint(v.FlatUsage)},
	}...)
	s.Printf("\n")
	table := s.Table("APPLICATION", "TIMESTAMP", "EVENTS", "CODE", "USAGE")
	for _, t := range v.Transactions {
		table.Row(application(t.AppID, t.UserKey), t.Timestamp, t.Events, code(t.Code), usageText(t.Usage))
	}
	table.Flush()
}

// application names who used the API.
func application(id, userKey string) string {
	if id == "" && userKey != "" {
		return "user key " + userKey
	}
	return id
}

func code(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// usageText prints usage in the order of metric names.
func usageText(usage map[string]uint64) string {
	words := make([]string, 0, len(usage))
	for metric, value := range usage {
		words = append(words, fmt.Sprintf("%s=%d", metric, value))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// frameRow is a frame in JSON.
type frameRow struct {
	Offset   int64          `json:"offset"`
	First    uint64         `json:"first"`
	Entries  uint64         `json:"entries"`
	Bytes    int64          `json:"bytes"`
	Sound    bool           `json:"sound"`
	Accepted *time.Time     `json:"accepted,omitempty"`
	Records  map[string]int `json:"records,omitempty"`
}

func showSegment(ctx context.Context, s *terminal.Screen, dir, file string) error {
	list := s.List("OFFSET", "FIRST", "ENTRIES", "SIZE", "CHECKSUM", "CONTENTS")
	defer list.End()
	err := spool.ListFrames(ctx, spool.InspectOptions{Dir: dir}, file, func(f spool.FrameInfo) error {
		row := frameRow{Offset: f.Offset, First: f.First, Entries: f.Next - f.First, Bytes: f.Bytes, Sound: f.Sound, Records: f.Records}
		if !f.Accepted.IsZero() {
			at := f.Accepted.UTC()
			row.Accepted = &at
		}
		checksum := terminal.Cell{Text: "fine", Colour: terminal.Green}
		if !f.Sound {
			checksum = terminal.Cell{Text: "damaged", Colour: terminal.Red}
		}
		return list.Add(row, row.Offset, row.First, row.Entries, terminal.Size(row.Bytes), checksum, row.contents())
	})
	if errors.Is(err, spool.ErrUnknownSegment) {
		return misuse(fmt.Errorf("%w: spool ls names those that are there", err))
	}
	return err
}

// contents says in a few words what is in a frame.
func (f *frameRow) contents() string {
	if f.Accepted != nil {
		return "accepted " + terminal.Time(*f.Accepted)
	}
	words := make([]string, 0, len(f.Records))
	for kind, n := range f.Records {
		words = append(words, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
