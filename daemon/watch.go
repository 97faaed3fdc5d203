package daemon

import (
	"context"
	"crypto/sha256"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
)

// watchEvery is how often the files of the configuration are checked. They are small, and are read completely: that detects a
// file that is replaced by a rename, a ConfigMap whose link changes, and a file on a file system without notifications.
const watchEvery = 2 * time.Second

// watched returns the files that a reload reads.
func watched(file string, c *config.Config) []string {
	return append([]string{file}, c.ReadAgain()...)
}

// fingerprint returns a hash of the contents of files. A file that cannot be read counts as empty.
func fingerprint(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range files {
		text, _ := os.ReadFile(name)
		digest := sha256.Sum256(text)
		h.Write(digest[:])
	}
	h.Sum(sum[:0])
	return sum
}

// watchFiles reloads when a file of the configuration has changed and stayed the same for a moment, so that two files that are
// written one after the other are read together. It calls files for the names after each reload; known is the fingerprint of the
// files as they were read. It returns when ctx ends.
func watchFiles(ctx context.Context, log *zap.Logger, known [sha256.Size]byte, files func() []string, reload func() error) error {
	seen := known
	tick := time.NewTicker(watchEvery / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		names := files()
		now := fingerprint(names)
		if now == known || now != seen {
			seen = now
			continue
		}
		log.Info("a file of the configuration has changed")
		_ = reload() // reload logs its error
		known = now  // not the present fingerprint, which may be newer than what was read
		if again := files(); !slices.Equal(again, names) {
			known = fingerprint(again)
		}
		seen = known
	}
}
