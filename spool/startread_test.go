package spool

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An error of the disk during one start ends that start, and takes nothing away: the next one finds everything.
func TestStartThatCannotReadTakesNothingAway(t *testing.T) {
	for _, log := range []string{"journal", "batches", "ids"} {
		for name, trouble := range map[string]struct {
			on, name string
			err      error
		}{
			"reads":    {"read", log + "/", syscall.EIO},
			"opening":  {"open", log + "/", syscall.EMFILE},
			"a file":   {"open", log + "/0", os.ErrPermission},
			"listing":  {"list", log, syscall.EIO},
			"vanished": {"open", log + "/0", syscall.ENOENT},
		} {
			t.Run(log+"/"+name, func(t *testing.T) {
				o, d, counts := lived(t)
				before := durable(d)
				f := &failing{FS: d}
				f.fail(trouble.on, trouble.name, trouble.err)
				o.FS = f
				_, _, err := Open(o)
				require.ErrorIs(t, err, trouble.err, "the start fails and says why")
				for name, data := range before {
					if strings.HasSuffix(name, wal.SegmentSuffix) && strings.Contains(name, log+"/") {
						assert.Equal(t, data, d.Durable(name), name)
					}
				}
				f.fail("", "", nil)
				s, found := open(t, o)
				assert.Empty(t, found.Torn)
				assert.Empty(t, found.Damaged)
				assert.Equal(t, counts, checkLaw(t, s, 0))
				assert.Equal(t, 2, appendAll(t, s, identified("a", "j")), "no id is forgotten")
			})
		}
	}
}

func durable(d *disktest.Disk) map[string][]byte {
	all := make(map[string][]byte)
	for _, name := range d.Files() {
		all[name] = d.Durable(name)
	}
	return all
}

// The same for every single operation of a start: one that fails, alone or with all behind it, takes nothing away, whether
// the start ends there or not.
func TestStartWithAnyFailedReadTakesNothingAway(t *testing.T) {
	o, d, counts := lived(t)
	ended := 0
	for _, once := range []bool{true, false} {
		for n := 0; ; n++ {
			f := &failing{FS: d.Kill()}
			f.fail("open read list", "", syscall.EIO)
			f.skip, f.once = n, once
			o.FS = f
			s, found, err := Open(o)
			hits := f.hits
			f.fail("", "", nil)
			if err != nil {
				require.ErrorIs(t, err, syscall.EIO)
				ended++
				s, found, err = Open(o)
			}
			require.NoError(t, err)
			require.Empty(t, found.Torn, "operation %d", n)
			require.Empty(t, found.Damaged, "operation %d", n)
			require.Equal(t, counts, checkLaw(t, s, 0), "operation %d", n)
			require.Equal(t, 2, appendAll(t, s, identified("a", "j")))
			require.NoError(t, s.Close())
			if hits == 0 {
				break
			}
		}
	}
	assert.Greater(t, ended, 30)
}

// A start that ends at an error of reading or listing has changed no file: everything is read first, of all logs, and repaired
// then. So a start that cannot read one log has not closed, cut or moved anything of another.
func TestStartThatCannotReadChangesNothing(t *testing.T) {
	o, d, _ := lived(t)
	segments := func(d *disktest.Disk) map[string]string {
		sums := make(map[string]string)
		for name, data := range durable(d) {
			if strings.HasSuffix(name, wal.SegmentSuffix) || strings.HasSuffix(name, letterSuffix) {
				sums[name] = fmt.Sprintf("%d bytes, %x", len(data), sha256.Sum256(data))
			}
		}
		return sums
	}
	logs := make(map[string]bool)
	for n := 0; ; n++ {
		disk := d.Kill()
		before := segments(disk)
		f := &failing{FS: disk}
		f.fail("read list", "", syscall.EIO)
		f.skip = n
		o.FS = f
		s, _, err := Open(o)
		hits := f.hits
		if err != nil {
			require.ErrorIs(t, err, syscall.EIO)
			require.Equal(t, before, segments(disk), "operation %d: %v", n, err)
			for _, log := range []string{"journal", "batches", "ids", "deadletters"} {
				logs[log] = logs[log] || strings.Contains(err.Error(), log)
			}
		} else {
			f.fail("", "", nil)
			require.NoError(t, s.Close())
		}
		if hits == 0 {
			break
		}
	}
	assert.Equal(t, map[string]bool{"journal": true, "batches": true, "ids": true, "deadletters": true}, logs)
}
