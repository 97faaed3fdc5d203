package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
)

// What happens to a data directory from outside: files that are missing, zeroed, shortened, copied or from a
// backup. Each of these rows lost or repeated acknowledged events without a word before there was a manifest.

// journalOf returns the files of the journal, oldest first.
func journalOf(t *testing.T, o Options) []string { return segmentsOf(t, o, "journal") }

func segmentsOf(t *testing.T, o Options, log string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(o.Dir, log, "*"+wal.SegmentSuffix))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// killed returns a copy of a spool's directory as kill -9 leaves it: without a footer, in the same run of the
// machine, and under its own name, so that it is no copy.
func killed(t *testing.T, s *Spool) {
	t.Helper()
	away := s.dir + ".away"
	require.NoError(t, os.CopyFS(away, os.DirFS(s.dir)))
	require.NoError(t, s.Close())
	require.NoError(t, filepath.WalkDir(away, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		relative, _ := filepath.Rel(away, name)
		return os.WriteFile(filepath.Join(s.dir, relative), data, 0o600) // in place: the inode stays
	}))
	require.NoError(t, os.RemoveAll(away))
}

// ends are the ways in which the process before ended.
var ends = map[string]func(*testing.T, *Spool){
	"stopped": func(t *testing.T, s *Spool) { require.NoError(t, s.Close()) },
	"killed":  killed,
}

// zeroTail makes the last n bytes of the frames of a file zero, the footer included if there is one.
func zeroTail(t *testing.T, file string, n int) {
	change(t, file, func(d []byte) []byte {
		end := len(d)
		for end > 0 && d[end-1] == 0 {
			end--
		}
		clear(d[max(end-n, 0):])
		return d
	})
}

func TestWhatIsGoneFromTheJournalIsLost(t *testing.T) {
	for name, row := range map[string]struct {
		harm func(t *testing.T, o Options)
		lost uint64
	}{
		"newest segment missing": {func(t *testing.T, o Options) {
			files := journalOf(t, o)
			require.NoError(t, os.Remove(files[len(files)-1]))
		}, 20},
		"oldest segment missing": {func(t *testing.T, o Options) { require.NoError(t, os.Remove(journalOf(t, o)[0])) }, 20},
		"all segments missing": {func(t *testing.T, o Options) {
			require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, "journal")))
		}, 60},
		"second half of the newest zeroed": {func(t *testing.T, o Options) {
			files := journalOf(t, o)
			change(t, files[len(files)-1], func(d []byte) []byte { clear(d[400:]); return d })
		}, 20},
		"last 200 bytes zeroed": {func(t *testing.T, o Options) {
			files := journalOf(t, o)
			zeroTail(t, files[len(files)-1], 200)
		}, 20},
		"newest shortened": {func(t *testing.T, o Options) {
			files := journalOf(t, o)
			require.NoError(t, os.Truncate(files[len(files)-1], 300))
		}, 20},
	} {
		for how, end := range ends {
			t.Run(name+", "+how, func(t *testing.T) {
				o, _ := threeSegments(t)
				s, _ := open(t, o)
				assert.EqualValues(t, 60, s.Counts().Accepted)
				end(t, s)
				row.harm(t, o)
				_, verdict := verify(t, o)
				assert.Positive(t, verdict.Damaged, "spool verify says so, too")
				for range 2 { // the second start says the same
					s, found := open(t, o)
					assert.EqualValues(t, 60, checkLaw(t, s, row.lost).Accepted)
					if found.Lost > 0 {
						assert.Empty(t, found.Torn, "what was durable is damage, and kept")
						lines := strings.Join(found.Lines(), "\n")
						assert.Contains(t, lines, "events lost")
						assert.NotContains(t, lines, "never acknowledged")
					}
					require.NoError(t, s.Close())
				}
			})
		}
	}
}

func TestSegmentCopiedToALaterName(t *testing.T) {
	o, names := threeSegments(t)
	data, err := os.ReadFile(filepath.Join(o.Dir, names[0]))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "journal", "00000000000000005000-0000.seg"), data, 0o600))
	s, found := open(t, o)
	assert.EqualValues(t, 60, checkLaw(t, s, 0).Accepted)
	assert.Contains(t, strings.Join(found.Lines(), "\n"), "00000000000000005000-0000.seg: ")
	kept, err := os.ReadFile(filepath.Join(o.Dir, "quarantine", "journal-00000000000000005000-0000.seg"))
	require.NoError(t, err)
	assert.Equal(t, data, kept)
}

// sendable returns the events in live batches that may be sent without a decision.
func sendable(s *Spool) (events uint64) {
	for _, b := range s.Batches() {
		if !b.Held {
			events += b.Events
		}
	}
	return events
}

func TestBatchLogMissing(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			o := Options{Dir: t.TempDir()}
			s, _ := open(t, o)
			appendAll(t, s, someEvents(50))
			cutAll(t, s)
			deliver(t, s)
			appendAll(t, s, someEvents(10))
			cutAll(t, s)
			appendAll(t, s, someEvents(5))
			assert.Equal(t, Counts{Accepted: 65, Delivered: 50, Pending: 15}, s.Counts())
			end(t, s)
			require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, "batches")))
			s, found := open(t, o)
			assert.Zero(t, sendable(s), "nothing is sent again that may have been delivered")
			assert.EqualValues(t, 60, s.Committed())
			assert.Contains(t, strings.Join(found.Lines(), "\n"), "batches")
			c := checkLaw(t, s, 0)
			assert.EqualValues(t, 65, c.Accepted)
			assert.EqualValues(t, 60, found.Held)
			s, _ = reopen(t, s, o)
			assert.Zero(t, sendable(s))
			assert.Equal(t, c, checkLaw(t, s, 0))
		})
	}
}

// The oldest segment of the batch log is gone: its events are lost and the range is named, and the batches of later segments,
// about which it said nothing, are sent.
func TestBatchLogLostItsBeginning(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), SegmentBytes: minSegment}
			s, _ := open(t, o)
			for range 60 {
				appendAll(t, s, someEvents(20))
				cutAll(t, s)
			}
			segments := segmentsOf(t, o, "batches")
			require.Greater(t, len(segments), 2)
			pending := sendable(s)
			end(t, s)
			first, _, ok := wal.ParseSegmentName(filepath.Base(segments[1]))
			require.True(t, ok)
			require.NoError(t, os.Remove(segments[0]))
			var details []string
			_, err := Verify(t.Context(), InspectOptions{Dir: o.Dir}, func(r FileReport) error {
				details = append(details, r.Detail)
				return nil
			})
			require.NoError(t, err)
			assert.Contains(t, details, fmt.Sprintf("entries 1 to %d, which were durable, are missing before it", first-1))
			s, found := open(t, o)
			require.Len(t, found.Missing, 1)
			assert.Equal(t, Missing{Log: "batches", First: 1, Last: first - 1, Exact: true, oldest: true}, found.Missing[0])
			lost := s.Counts().Lost
			assert.Positive(t, lost)
			c := checkLaw(t, s, lost)
			assert.Equal(t, pending-lost, sendable(s), "the rest is sent")
			s, found = reopen(t, s, o)
			assert.Empty(t, found.Missing, "it is said once")
			assert.Equal(t, c, checkLaw(t, s, lost))
		})
	}
}

func TestBatchLogLostItsEnd(t *testing.T) {
	for _, bytes := range []int{40, 200, 1000} {
		for how, end := range ends {
			t.Run(how, func(t *testing.T) {
				o := Options{Dir: t.TempDir()}
				s, _ := open(t, o)
				appendAll(t, s, someEvents(20))
				cutAll(t, s)
				appendAll(t, s, someEvents(5))
				cutAll(t, s)
				deliver(t, s)
				assert.Equal(t, Counts{Accepted: 25, Delivered: 25}, s.Counts())
				next := s.ChangesEnd()
				end(t, s)
				zeroTail(t, segmentsOf(t, o, "batches")[0], bytes)
				s, found := open(t, o)
				assert.Zero(t, sendable(s), "nothing is sent again that was delivered")
				c := checkLaw(t, s, 0)
				assert.EqualValues(t, 25, c.Accepted)
				assert.LessOrEqual(t, c.Pending, c.Accepted)
				require.NotEmpty(t, found.Missing)
				assert.Equal(t, "batches", found.Missing[0].Log)
				assert.Equal(t, next-1, found.Missing[0].Last)
				assert.GreaterOrEqual(t, s.ChangesEnd(), next, "no number that a reader of accounts saw is used again")
				s, _ = reopen(t, s, o)
				assert.Equal(t, c, checkLaw(t, s, 0))
				assert.Zero(t, sendable(s))
			})
		}
	}
}

func TestOldCopyIsNotSentAgain(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(20))
	cutAll(t, s)
	appendAll(t, s, someEvents(5))
	backup := Options{Dir: filepath.Join(t.TempDir(), "backup")}
	require.NoError(t, os.CopyFS(backup.Dir, os.DirFS(o.Dir)))
	deliver(t, s)
	require.NoError(t, s.Close())

	s, found := open(t, backup)
	assert.Zero(t, sendable(s))
	assert.Equal(t, Counts{Accepted: 25, Pending: 25}, checkLaw(t, s, 0))
	assert.EqualValues(t, 25, found.Held)
	assert.Contains(t, strings.Join(found.Lines(), "\n"), "copy")
	appendAll(t, s, someEvents(3))
	cutAll(t, s)
	assert.EqualValues(t, 3, sendable(s), "what comes now is sent as ever")
	s, found = reopen(t, s, backup)
	assert.Zero(t, found.Held, "it is this directory now")
	assert.EqualValues(t, 3, sendable(s))
	for _, b := range s.Batches() {
		require.NoError(t, s.ClearUnresolved(b.ID))
	}
	assert.EqualValues(t, 28, sendable(s))
}

// absent returns how Append and Ready answer two seconds after something happened to the directory.
func absent(t *testing.T, s *Spool, happen func()) (appended, ready error) {
	happen()
	<-time.After(2 * time.Second) // of fake time
	_, appended = s.Append(t.Context(), someEvents(1))
	return appended, s.Ready()
}

func TestDirectoryThatGoesAwayTakesNothing(t *testing.T) {
	for name, row := range map[string]struct {
		away, back func(dir string) error
	}{
		"removed": {os.RemoveAll, nil},
		"moved away": {
			func(dir string) error { return os.Rename(dir, dir+".away") },
			func(dir string) error { return os.Rename(dir+".away", dir) },
		},
		"another in its place": {
			func(dir string) error {
				return errors.Join(os.Rename(dir, dir+".away"), os.MkdirAll(filepath.Join(dir, "journal"), 0o700))
			},
			func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Rename(dir+".away", dir)) },
		},
		"batches moved away": {
			func(dir string) error { return os.Rename(filepath.Join(dir, "batches"), dir+".batches") },
			func(dir string) error { return os.Rename(dir+".batches", filepath.Join(dir, "batches")) },
		},
		"lock removed": {func(dir string) error { return os.Remove(filepath.Join(dir, "lock")) }, nil},
		"lock replaced": {func(dir string) error {
			name := filepath.Join(dir, "lock")
			return errors.Join(os.Remove(name), os.WriteFile(name, nil, 0o600))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan Trouble, 4)
				o := Options{Dir: filepath.Join(t.TempDir(), "data"), Trouble: func(x Trouble) { told <- x }}
				s, _, err := Open(o)
				require.NoError(t, err)
				defer func() { _ = s.Close() }()
				appendAll(t, s, someEvents(1))
				appended, ready := absent(t, s, func() { require.NoError(t, row.away(o.Dir)) })
				var refused *event.Refused
				require.ErrorAs(t, appended, &refused)
				assert.False(t, refused.Full)
				require.ErrorIs(t, appended, wal.ErrReplaced)
				require.ErrorIs(t, ready, wal.ErrReplaced)
				require.Len(t, told, 1, "it is said once")
				require.ErrorIs(t, (<-told).Err, wal.ErrReplaced)
				if row.back == nil {
					return
				}
				appended, ready = absent(t, s, func() { require.NoError(t, row.back(o.Dir)) })
				require.NoError(t, appended)
				require.NoError(t, ready)
				require.Len(t, told, 1)
				require.NoError(t, (<-told).Err)
				require.NoError(t, s.Close())
				s, _, err = Open(o)
				require.NoError(t, err)
				assert.Equal(t, Counts{Accepted: 2, Pending: 2}, s.Counts())
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestRemovingTheLockLetsNoSecondProcessIn(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	require.NoError(t, os.Remove(filepath.Join(o.Dir, "lock")))
	_, _, err := Open(o)
	require.ErrorIs(t, err, disk.ErrLocked)
	held, _, err := InUse(o.Dir)
	require.NoError(t, err)
	assert.True(t, held)
	require.NoError(t, s.Close())
	open(t, o)
}

// While the directory is away nothing in it is damaged or lost: what cannot be opened is tried again.
func TestNothingIsLostWhileTheDirectoryIsAway(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "data")}
	s, id := oneBatch(t, o, 10)
	tail := s.Tail()
	appendAll(t, s, someEvents(5))
	require.NoError(t, os.Rename(o.Dir, o.Dir+".away"))
	_, err := tail.step()
	require.Error(t, err)
	_, err = s.Append(t.Context(), someEvents(5)) // within the second: the file is open
	require.ErrorIs(t, err, wal.ErrReplaced)
	_, err = s.Load(id)
	require.Error(t, err)
	require.NotErrorIs(t, err, wal.ErrDamaged)
	require.NoError(t, os.Rename(o.Dir+".away", o.Dir))
	require.NoError(t, s.presence.Look())
	appendAll(t, s, someEvents(5))
	found, err := tail.step()
	require.NoError(t, err)
	assert.True(t, found)
	require.NoError(t, tail.Close())
	assert.Equal(t, Counts{Accepted: 20, Pending: 20}, checkLaw(t, s, 0))
}

// The manifest knows of a group before its events are acknowledged, so that after a kill what is gone is counted exactly.
func TestManifestKnowsWhatWasAcknowledgedBeforeAKill(t *testing.T) {
	o, _ := threeSegments(t)
	s, _ := open(t, o)
	appendAll(t, s, someEvents(7))
	ends["killed"](t, s)
	files := journalOf(t, o)
	require.NoError(t, os.Truncate(files[len(files)-1], wal.SegmentHead))
	s, found := open(t, o)
	assert.EqualValues(t, 67, s.Counts().Accepted)
	assert.GreaterOrEqual(t, found.Lost, uint64(7))
}
