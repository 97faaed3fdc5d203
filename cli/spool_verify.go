package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read every checksum and say what recovery would do",
		Long: `Reads every frame, every checksum and every dead letter, and says of each file
what the next start would do with it:

  fine         nothing
  in flight    the daemon is writing its end at this moment
  torn         cut its end, which was never acknowledged
  damaged      set a range aside in quarantine/, and count what was in it as
               lost; also when entries are missing that the manifest knows to
               have been durable
  short        nothing, but its end was cut off: what was there is unknown
  superseded   ignore it: it was written again in a later file
  foreign      set it aside: another version of reporterd wrote it
  gone         it was removed while this went on, since nothing in it was needed

Exit status: 0 no damage, 1 damage found, or it could not be read.`,
		Example: `  reporterd spool verify
  reporterd spool verify --all --data-dir /var/lib/reporterd
  reporterd spool verify --output json | jq 'select(.state == "damaged")'`,
		Args: noArguments,
		RunE: inspecting(func(ctx context.Context, s *terminal.Screen, c *config.Config, cmd *cobra.Command, _ []string) error {
			all, _ := cmd.Flags().GetBool("all")
			return verify(ctx, s, c.DataDir, all)
		}),
	}
	addDirectory(cmd)
	cmd.Flags().Bool("all", false, "print the files that are fine, too")
	addOutput(cmd)
	return cmd
}

// fileRow is what verify says of a file, in JSON.
type fileRow struct {
	File    string    `json:"file"`
	State   string    `json:"state"`
	Frames  int       `json:"frames"`
	Bytes   int64     `json:"bytes"`
	Damaged []partRow `json:"damaged,omitempty"`
	Torn    []partRow `json:"torn,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

type partRow struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
}

func parts(ranges []spool.Range) (rows []partRow) {
	for _, r := range ranges {
		rows = append(rows, partRow{r.Offset, r.Bytes})
	}
	return rows
}

func verify(ctx context.Context, s *terminal.Screen, dir string, all bool) error {
	colours := map[spool.FileState]terminal.Colour{
		spool.StateFine: terminal.Green, spool.StateTorn: terminal.Yellow, spool.StateDamaged: terminal.Red, spool.StateForeign: terminal.Red,
		spool.StateShort: terminal.Red,
	}
	o := spool.InspectOptions{Dir: dir, Progress: func(done, total int64) { s.Progress("verifying", done, total) }}
	list := s.List()
	verdict, err := spool.Verify(ctx, o, func(r spool.FileReport) error {
		if !s.JSON() && !all && r.State == spool.StateFine && r.Detail == "" {
			return nil
		}
		return list.Add(fileRow{r.File, string(r.State), r.Frames, r.Bytes, parts(r.Damaged), parts(r.Torn), r.Detail},
			r.File, terminal.Cell{Text: string(r.State), Colour: colours[r.State]}, r.Detail)
	})
	list.End()
	if err != nil {
		return err
	}
	if !s.JSON() {
		sumUp(s, verdict)
	}
	if verdict.Damaged > 0 {
		return failed(fmt.Errorf("damage in %s", count(verdict.Damaged, "file")))
	}
	return nil
}

func sumUp(s *terminal.Screen, v spool.Verdict) {
	how := "not in use"
	if v.InUse {
		how = "in use by a daemon"
	}
	s.Printf("%s, %s, %s and %s read, %s; %s already in quarantine\n", count(v.Files, "file"), count(v.Frames, "frame"),
		terminal.Size(v.Bytes), count(v.Letters, "dead letter"), how, count(v.Quarantined, "file"))
	if v.Damaged == 0 {
		s.Printf("%s\n", s.Paint(terminal.Green, "no damage"))
	}
}
