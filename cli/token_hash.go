package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newTokenHash() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Write the entry of a token that was made elsewhere",
		Long: `Reads a token from standard input, and adds its entry to --file, or prints it on
standard error. The token must have been made by a machine: a hash does not
protect what can be guessed.`,
		Example: `  reporterd token hash --name checkout --services 1001 < token`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64<<10)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return failed(fmt.Errorf("standard input: %w", err))
			}
			return writeEntry(cmd, strings.TrimSpace(line))
		},
	}
	addEntry(cmd)
	return cmd
}
