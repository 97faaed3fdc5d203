package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/reporterd/reporterd/cli"
)

// onTerminal runs a command in this process with a terminal of 80 columns as its output, and returns what the terminal got and
// the exit status. Standard input is no terminal.
func onTerminal(t *testing.T, args ...string) (screen string, status int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer master.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	var got bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { // ends with lastWord
		part := make([]byte, 4<<10)
		for err := error(nil); err == nil && !bytes.HasSuffix(got.Bytes(), []byte(lastWord)); {
			var n int
			n, err = master.Read(part)
			got.Write(part[:n])
		}
	})
	status = cli.Run(context.Background(), args, terminal, terminal)
	_, err = io.WriteString(terminal, lastWord)
	require.NoError(t, err)
	reading.Wait()
	require.NoError(t, terminal.Close())
	return strings.ReplaceAll(strings.TrimSuffix(got.String(), lastWord), "\r\n", "\n"), status
}

// lastWord is written to the terminal behind a command's output. The terminal is closed once it was read: the kernel may lose what it has
// not yet passed on when a terminal is closed.
const lastWord = "\x1b]last word\x07"
