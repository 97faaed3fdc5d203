package disktest

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// shelf contains the entries that MoveAway removed.
type shelf struct {
	names   map[string]*inode
	durable map[string]*inode
	pending []naming
}

// MoveAway hides a file, or a directory with its content, from this life, as mv or umount do: its names do not exist, and another
// file or directory can be created under them. Open files stay usable and locks stay held. It ends with MoveBack, Heal and the
// end of the disk's life. It reports whether the name existed.
func (d *Disk) MoveAway(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.names[name] == nil || name == path.Dir(name) {
		return false
	}
	d.trace.add(Rename, name, "moved away")
	d.away[name] = d.shelveLocked(name)
	return true
}

// MoveBack undoes MoveAway. What was created below a directory's name in the meantime is gone, as files below a mount point are hidden
// while the file system is mounted. A file that was created under a file's name stays, and the other one is gone, as with mv -n:
// to overwrite it would destroy what is durable, which no trouble does that passes.
func (d *Disk) MoveBack(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bringOneBackLocked(path.Clean(name))
}

// bringBackLocked undoes every MoveAway, a directory before what was moved out of it.
func (d *Disk) bringBackLocked() {
	for _, name := range slices.Sorted(maps.Keys(d.away)) {
		d.bringOneBackLocked(name)
	}
}

// bringOneBackLocked undoes one MoveAway.
func (d *Disk) bringOneBackLocked(name string) {
	s := d.away[name]
	if s == nil {
		return
	}
	d.trace.add(Rename, name, "moved back")
	delete(d.away, name)
	if above := d.shelfAboveLocked(name); above != nil { // it returns to the directory that it was moved out of
		above.take(s)
		return
	}
	before, now := s.names[name], d.names[name]
	newer := d.shelveLocked(name)
	if before != nil && !before.dir && now != nil && !now.dir {
		if newer.durable[name] != nil {
			s = newer
		} else {
			s.take(newer) // a crash may still bring the older one back
		}
	}
	maps.Copy(d.names, s.names)
	maps.Copy(d.durable, s.durable)
	d.pending = append(d.pending, s.pending...)
}

// shelfAboveLocked returns the shelf with the nearest directory above a name that was moved away itself, or nil.
func (d *Disk) shelfAboveLocked(name string) *shelf {
	for dir := path.Dir(name); dir != path.Dir(dir); dir = path.Dir(dir) {
		if s := d.away[dir]; s != nil {
			return s
		}
	}
	return nil
}

// take adds the entries of another shelf.
func (s *shelf) take(o *shelf) {
	maps.Copy(s.names, o.names)
	maps.Copy(s.durable, o.durable)
	s.pending = append(s.pending, o.pending...)
}

// shelveLocked removes a name, all names below it and their pending changes.
func (d *Disk) shelveLocked(name string) *shelf {
	within := func(n string) bool { return n == name || strings.HasPrefix(n, name+"/") }
	s := &shelf{names: extract(d.names, within), durable: extract(d.durable, within)}
	var left []naming
	for _, n := range d.pending { // a rename out of here leaves its new name behind: a sync of that directory makes it durable
		for in, of := range map[bool]*[]naming{true: &s.pending, false: &left} {
			if part := slices.DeleteFunc(slices.Clone(n), func(e entry) bool { return within(e.name) != in }); len(part) > 0 {
				*of = append(*of, part)
			}
		}
	}
	d.pending = left
	return s
}

// extract moves the entries with some names into a new map.
func extract(names map[string]*inode, which func(string) bool) map[string]*inode {
	taken := map[string]*inode{}
	for name, i := range names {
		if which(name) {
			taken[name] = i
			delete(names, name)
		}
	}
	return taken
}
