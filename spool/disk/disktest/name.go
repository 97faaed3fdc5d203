package disktest

import (
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/reporterd/reporterd/spool/disk"
)

// naming is one change of names that no SyncDir has made durable: it is atomic.
type naming []entry

// entry is what a name refers to after a change; nil: nothing.
type entry struct {
	name string
	node *inode
}

// touches reports whether the change concerns a name in the directory.
func (n naming) touches(dir string) bool {
	return slices.ContainsFunc(n, func(e entry) bool { return path.Dir(e.name) == dir })
}

// any reports whether the change concerns one of the names.
func (n naming) any(names map[string]bool) bool {
	return slices.ContainsFunc(n, func(e entry) bool { return names[e.name] })
}

// apply makes the change in a set of names.
func (n naming) apply(names map[string]*inode) {
	for _, e := range n {
		if e.node == nil {
			delete(names, e.name)
		} else {
			names[e.name] = e.node
		}
	}
}

// renameLocked makes a change of names in this life; SyncDir makes it durable.
func (d *Disk) renameLocked(n naming) {
	n.apply(d.names)
	d.pending = append(d.pending, n)
}

// directoryLocked returns an error unless the name's directory exists.
func (d *Disk) directoryLocked(op, name string) error {
	if dir := d.names[path.Dir(name)]; dir == nil {
		return pathError(op, name, syscall.ENOENT)
	} else if !dir.dir {
		return pathError(op, name, syscall.ENOTDIR)
	}
	return nil
}

// fileLocked returns the file of that name.
func (d *Disk) fileLocked(op, name string) (*inode, error) {
	i := d.names[name]
	if i == nil {
		return nil, pathError(op, name, syscall.ENOENT)
	}
	if i.dir {
		return nil, pathError(op, name, syscall.EISDIR)
	}
	return i, nil
}

// createLocked makes an empty file, which must not exist.
func (d *Disk) createLocked(name string) (*inode, error) {
	if err := d.directoryLocked("open", name); err != nil {
		return nil, err
	}
	i := &inode{}
	d.renameLocked(naming{{name, i}})
	return i, nil
}

// MkdirAll implements disk.FS. Permissions are ignored.
func (d *Disk) MkdirAll(name string, _ os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	var missing []string
	for dir := name; d.names[dir] == nil; dir = path.Dir(dir) {
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	for _, dir := range missing {
		f, err := d.startLocked(Mkdir, dir)
		if err != nil {
			return err
		}
		err = f.run(func() error {
			if err := d.directoryLocked("mkdir", dir); err != nil {
				return err
			}
			d.renameLocked(naming{{dir, &inode{dir: true}}})
			return nil
		})
		if err != nil {
			return err
		}
	}
	if d.stopped {
		return pathError("mkdir", name, ErrStopped)
	}
	if !d.names[name].dir {
		return pathError("mkdir", name, syscall.ENOTDIR)
	}
	return nil
}

// ReadDir implements disk.FS. It returns the names of this life, durable or not.
func (d *Disk) ReadDir(name string) ([]disk.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(ReadDir, name)
	if err != nil {
		return nil, err
	}
	var entries []disk.Entry
	err = f.run(func() error {
		if err := d.directoryLocked("readdir", path.Join(name, "x")); err != nil {
			return err
		}
		entries = d.listLocked(name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// listLocked returns the files in a directory, sorted.
func (d *Disk) listLocked(dir string) []disk.Entry {
	var entries []disk.Entry
	for name, i := range d.names {
		if path.Dir(name) == dir && !i.dir {
			entries = append(entries, disk.Entry{Name: path.Base(name), Size: i.now.size})
		}
	}
	slices.SortFunc(entries, func(a, b disk.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// Rename implements disk.FS, for files.
func (d *Disk) Rename(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	oldName, newName = path.Clean(oldName), path.Clean(newName)
	f, err := d.startLocked(Rename, newName)
	if err != nil {
		return err
	}
	return f.run(func() error {
		i, err := d.fileLocked("rename", oldName)
		if err != nil {
			return err
		}
		if err := d.directoryLocked("rename", newName); err != nil {
			return err
		}
		if old := d.names[newName]; old != nil && old.dir {
			return pathError("rename", newName, syscall.EISDIR)
		}
		if oldName != newName {
			d.renameLocked(naming{{oldName, nil}, {newName, i}})
		}
		return nil
	})
}

// Remove implements disk.FS, for files. Open handles keep the content.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(Remove, name)
	if err != nil {
		return err
	}
	return f.run(func() error {
		if _, err := d.fileLocked("remove", name); err != nil {
			return err
		}
		d.renameLocked(naming{{name, nil}})
		return nil
	})
}

// SyncDir implements disk.FS. A rename between two directories is durable with the first of them.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(SyncDir, name)
	if err != nil {
		return err
	}
	if i := d.names[name]; i == nil || !i.dir {
		return pathError("syncdir", name, syscall.ENOENT)
	}
	lucky := luck(1)
	switch {
	case f.lie == Phantom:
		d.lies = append(d.lies, "sync of directory "+name+" not done")
		return nil
	case f.err != nil && f.extent == Nothing:
		return f.err
	case f.err != nil && f.extent == Some:
		lucky = drawLuck(d.rng)
	}
	waiting := map[string]bool{} // names of which an earlier change is not durable: the later ones do not overtake it
	d.pending = slices.DeleteFunc(d.pending, func(n naming) bool {
		if n.any(waiting) || !n.touches(name) || !lucky.keeps(d.rng) {
			for _, e := range n {
				waiting[e.name] = true
			}
			return false
		}
		n.apply(d.durable)
		return true
	})
	return f.err
}
