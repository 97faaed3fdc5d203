package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/internal/timespec"
)

func addEntry(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.String("name", "", "who holds the token: letters, digits, . _ @ / -")
	set.StringSlice("services", nil, "`ids` of the services a producer may send for, or an operator may see; '*': all")
	set.StringSlice("scopes", nil, "what an operator may do: read, write, stats, account_management")
	set.Float64("rate", 0, "`events` a second a producer may send (default: as limits.rate says)")
	set.String("expires", "", "`when` the token ends: a time (RFC 3339) or a duration from now (90d)")
	set.String("file", "", "the `file` of tokens to add the entry to; it is made when there is none")
}

// writeEntry adds the entry of a token to the file the command line names, or prints it.
func writeEntry(cmd *cobra.Command, token string) error {
	g, kind, err := grantOf(cmd)
	if err != nil {
		return misuse(err)
	}
	lines, err := access.Entry(token, g, kind)
	if err != nil {
		return misuse(err)
	}
	name, _ := cmd.Flags().GetString("file")
	if name == "" {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "tokens:\n%s", lines)
		return err
	}
	if err := addLines(name, lines, kind); err != nil {
		return failed(err)
	}
	return nil
}

func grantOf(cmd *cobra.Command) (g access.Grant, kind access.Kind, err error) {
	set := cmd.Flags()
	g.Name, _ = set.GetString("name")
	g.Services, _ = set.GetStringSlice("services")
	g.Scopes, _ = set.GetStringSlice("scopes")
	g.Rate, _ = set.GetFloat64("rate")
	switch scopes := len(g.Scopes) > 0; {
	case len(g.Services) == 0 && !scopes:
		return g, kind, errors.New("expected --services, for a producer, or --scopes, for an operator")
	case scopes && g.Rate != 0:
		return g, kind, errors.New("--rate: a producer's, not an operator's")
	case scopes:
		kind = access.Operators
	}
	if text, _ := set.GetString("expires"); text != "" {
		if g.Expires, err = expiry(text, time.Now()); err != nil {
			return g, kind, err
		}
	}
	return g, kind, nil
}

// expiry reads when a token ends.
func expiry(text string, now time.Time) (time.Time, error) {
	t, err := timespec.At(text, now, time.UTC)
	if d, notDuration := timespec.Duration(text); notDuration == nil {
		t, err = now.Add(d), nil
	}
	if err != nil || !t.After(now) {
		return t, fmt.Errorf("--expires: %q: expected a time to come (RFC 3339) or a duration (90m, 90d)", text)
	}
	return t.UTC().Truncate(time.Second), nil
}

// addLines adds an entry to a file of tokens, unless the result would be none. The file is replaced whole:
// a daemon that reads it again meanwhile sees the old or the new one.
func addLines(name, lines string, kind access.Kind) error {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(text)) == "" {
		text, err = []byte("tokens:\n"), nil
	}
	if err != nil {
		return err
	}
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, lines...)
	if _, err := access.Parse(text, kind); err != nil {
		return fmt.Errorf("%s: with the new entry: %w; add it by hand:\n%s", name, err, lines)
	}
	return replaceFile(name, text)
}

// replaceFile replaces a file by one of the same owner and permissions; a new one is for its owner only.
func replaceFile(name string, text []byte) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	next := name + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), sameOwner(f, name), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		_ = os.Remove(next) // the old file is untouched
	}
	return err
}
