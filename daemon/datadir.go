package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sandboxMark is the file that distinguishes a data directory of serve --sandbox from one with real usage.
const sandboxMark = "SANDBOX"

const sandboxNote = "The events in this directory belong to reporterd's sandbox and to no 3scale account.\n"

// checkSandboxMark prevents that real usage is delivered to the sandbox, and lost, or that usage of the sandbox is delivered to a
// real account, and billed. It is called before the directory is opened, and marks a new one.
func checkSandboxMark(dir string, sandbox bool) error {
	mark := filepath.Join(dir, sandboxMark)
	_, err := os.Lstat(mark)
	marked := err == nil
	switch {
	case marked && !sandbox:
		return fmt.Errorf("data_dir: %q: belongs to serve --sandbox: its events would go to %s", dir,
			"a real account; name another directory, or delete this one")
	case marked || !sandbox:
		return nil
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data_dir: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("data_dir: %q: was not made by serve --sandbox: its events would go to the sandbox and be gone; "+
			"name another directory with --data-dir", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if err := os.WriteFile(mark, []byte(sandboxNote), 0o600); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	return nil
}
