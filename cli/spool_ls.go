package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

func newSegments() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the segments of the journal, the batch log and the ids",
		Long: `Lists the files of the three logs, oldest first. Entries are events in the
journal, records in the batch log, event ids in ids. It prints as it reads.`,
		Example: `  reporterd spool ls
  reporterd spool ls --data-dir /var/lib/reporterd --output json | jq .bytes`,
		Args: noArguments,
		RunE: inspecting(func(ctx context.Context, s *screen, c *config.Config, _ *cobra.Command, _ []string) error {
			return listSegments(ctx, s, c.DataDir)
		}),
	}
	addDirectory(cmd)
	addOutput(cmd)
	return cmd
}

// segmentRow is a segment in JSON.
type segmentRow struct {
	File      string `json:"file"`
	First     uint64 `json:"first"`
	Entries   uint64 `json:"entries"`
	Frames    int    `json:"frames"`
	Bytes     int64  `json:"bytes"`
	Allocated int64  `json:"allocated_bytes"`
	State     string `json:"state"`
}

func listSegments(ctx context.Context, s *screen, dir string) error {
	if !s.json {
		s.printf("%-41s %12s %12s %8s %10s  %s\n", "FILE", "FIRST", "ENTRIES", "FRAMES", "SIZE", "STATE")
	}
	colours := map[spool.SegmentState]string{spool.SegmentActive: green, spool.SegmentOpen: yellow, spool.SegmentSuperseded: yellow}
	return spool.ListSegments(ctx, spool.InspectOptions{Dir: dir}, func(g spool.Segment) error {
		if s.json {
			return s.object(segmentRow{g.File, g.First, g.Next - g.First, g.Frames, g.Bytes, g.Size, string(g.State)})
		}
		s.printf("%-41s %12d %12d %8d %10s  %s\n", g.File, g.First, g.Next-g.First, g.Frames, terminal.Size(g.Bytes),
			s.paint(colours[g.State], string(g.State)))
		return nil
	})
}
