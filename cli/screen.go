package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/reporterd/reporterd/daemon"
	"github.com/spf13/cobra"
)

// progressInterval is how often a progress line changes.
const progressInterval = 100 * time.Millisecond

// screen is where a command prints: results to out, progress and questions to a person on err.
type screen struct {
	out    io.Writer
	err    io.Writer
	json   bool // one JSON object a line instead of tables
	colour bool
	person bool // somebody watches err
	shown  time.Time
	drawn  bool // a progress line is on err
}

// addOutput defines --output.
func addOutput(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", "table", "`table` for people, or json: one object a line")
}

// newScreen reads --output and finds out who reads.
func newScreen(cmd *cobra.Command) (*screen, error) {
	s := &screen{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	switch format, _ := cmd.Flags().GetString("output"); format {
	case "", "table":
	case "json":
		s.json = true
	default:
		return nil, misuse(fmt.Errorf("--output: %q: expected table or json", format))
	}
	if f, ok := s.out.(*os.File); ok && !s.json {
		s.colour = daemon.IsTerminal(f) && os.Getenv("NO_COLOR") == ""
	}
	if f, ok := s.err.(*os.File); ok {
		s.person = daemon.IsTerminal(f)
	}
	return s, nil
}

// printf prints a line of a table. A progress line on the same terminal makes room.
func (s *screen) printf(format string, args ...any) {
	s.clear()
	fmt.Fprintf(s.out, format, args...) // a reader that went away ends the command by SIGPIPE
}

// object prints one JSON object.
func (s *screen) object(v any) error {
	s.clear()
	return json.NewEncoder(s.out).Encode(v)
}

// The colours of states.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
)

// paint colours a word, on a terminal only.
func (s *screen) paint(colour, word string) string {
	if !s.colour || colour == "" {
		return word
	}
	return colour + word + plain
}

// progress draws how far something has come, if a person watches.
func (s *screen) progress(what string, done, total int64) {
	if !s.person || total <= 0 || time.Since(s.shown) < progressInterval {
		return
	}
	const width = 30
	filled := int(done * width / total)
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = '.'
		if i < filled {
			bar[i] = '#'
		}
	}
	fmt.Fprintf(s.err, "\r%s [%s] %3d%%", what, bar, done*100/total)
	s.shown, s.drawn = time.Now(), true
}

// clear takes the progress line away.
func (s *screen) clear() {
	if s.drawn {
		fmt.Fprint(s.err, "\r\x1b[K")
		s.drawn = false
	}
}
