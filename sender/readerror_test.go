package sender

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// With every error that the disk answers to a reader, and for however long: the lanes wait and say so, and everything is delivered
// once it can be read.
func TestLanesWaitForADiskThatCannotBeRead(t *testing.T) {
	for name, fault := range map[string]disktest.Fault{
		"EIO on read":    {On: disktest.Read, Err: syscall.EIO},
		"EMFILE on open": {On: disktest.Open, Err: syscall.EMFILE},
		"EROFS on open":  {On: disktest.Open, Err: syscall.EROFS},
		"EACCES on open": {On: disktest.Open, Err: syscall.EACCES},
		"moved away":     {On: disktest.Open, Err: os.ErrNotExist},
		"ESTALE on read": {On: disktest.Read, Err: syscall.ESTALE},
		"now and then":   {On: disktest.Read | disktest.Open, Err: syscall.EIO, Chance: 0.7},
	} {
		for _, lasts := range []time.Duration{5 * time.Second, time.Hour} {
			t.Run(name+"/"+lasts.String(), func(t *testing.T) {
				d := disktest.New(disktest.Options{})
				onDisk(t, d, Options{}, func(w *world) {
					w.backend.behave(func(call) reply { return reply{status: 503} })
					for range 20 {
						w.seal("1", apps(10)...)
						w.seal("2", apps(10)...)
					}
					fault.Name, fault.Times = batchLog+"/0", -1
					d.Inject(fault)
					w.backend.behave(nil)
					w.wait(lasts)
					assert.Zero(t, w.spool.Counts().Lost)
					if fault.Chance == 0 {
						assert.Equal(t, Retrying, w.lane("1").State)
						assert.Equal(t, "disk", w.lane("1").LastError)
						require.ErrorIs(t, w.spool.Ready(), fault.Err)
					}
					d.Heal()
					w.wait(10 * time.Second)
					require.NoError(t, w.spool.Ready())
					w.wait(time.Minute)
					c := w.spool.Counts()
					assert.EqualValues(t, 400, c.Delivered)
					assert.Zero(t, c.Lost)
					assert.Zero(t, w.log.FilterMessage("sealed batch is damaged, its events are lost").Len())
				})
			})
		}
	}
}

// A lane whose batch lies where the disk cannot be read waits; the other lanes go on.
func TestOneUnreadableBatchDelaysItsLaneOnly(t *testing.T) {
	d := disktest.New(disktest.Options{})
	onDisk(t, &oneBadPlace{Disk: d, of: "the bad place"}, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		w.seal("1", "the bad place")
		w.seal("2", "b")
		w.backend.behave(nil)
		w.wait(10 * time.Minute)
		assert.EqualValues(t, 1, w.spool.Counts().Delivered)
		assert.EqualValues(t, 1, w.spool.Counts().Pending)
		assert.Equal(t, Retrying, w.lane("1").State)
		assert.Error(t, w.spool.Ready())
	})
}

// oneBadPlace is a disk on which nothing that contains a text can be read.
type oneBadPlace struct {
	*disktest.Disk
	of string
}

func (o *oneBadPlace) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	f, err := o.Disk.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &badFile{File: f, of: []byte(o.of)}, nil
}

type badFile struct {
	disk.File
	of []byte
}

func (f *badFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if bytes.Contains(p[:n], f.of) {
		return 0, syscall.EIO
	}
	return n, err
}
