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
journal, records in the batch log, event ids in ids.`,
		Example: `  reporterd spool ls
  reporterd spool ls --data-dir /var/lib/reporterd --output json | jq .bytes`,
		Args: noArguments,
		RunE: inspecting(func(ctx context.Context, s *terminal.Screen, c *config.Config, _ *cobra.Command, _ []string) error {
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

func listSegments(ctx context.Context, s *terminal.Screen, dir string) error {
	list := s.List("FILE", "FIRST", "ENTRIES", "FRAMES", "SIZE", "STATE")
	defer list.End()
	colours := map[spool.SegmentState]terminal.Colour{
		spool.SegmentActive: terminal.Green, spool.SegmentOpen: terminal.Yellow, spool.SegmentSuperseded: terminal.Yellow,
	}
	return spool.ListSegments(ctx, spool.InspectOptions{Dir: dir}, func(g spool.Segment) error {
		entries := g.Next - g.First
		return list.Add(segmentRow{g.File, g.First, entries, g.Frames, g.Bytes, g.Size, string(g.State)},
			g.File, g.First, entries, g.Frames, terminal.Size(g.Bytes), terminal.Cell{Text: string(g.State), Colour: colours[g.State]})
	})
}
