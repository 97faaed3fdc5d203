package disktest

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// shelf is what MoveAway took off the disk.
type shelf struct {
	names   map[string]*inode
	durable map[string]*inode
	pending []naming
}

// MoveAway takes a file, or a directory with everything in it, out of this life's sight, as mv or umount do:
// its names do not exist, and another file or directory can be made in their place. Open files stay usable and
// locks stay held. It ends with MoveBack, Heal and with the disk's life, and reports whether there was such a
// name.
func (d *Disk) MoveAway(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.names[name] == nil || name == path.Dir(name) {
		return false
	}
	d.trace.add(Rename, name, "moved away")
	d.away[name] = d.shelve(name)
	return true
}

// MoveBack undoes MoveAway. What was made in the same place meanwhile is gone, as what was written below a
// mount point is while the file system is mounted.
func (d *Disk) MoveBack(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bringOneBack(path.Clean(name))
}

// bringBack undoes every MoveAway, a directory before what was taken out of it. The caller holds mu.
func (d *Disk) bringBack() {
	for _, name := range slices.Sorted(maps.Keys(d.away)) {
		d.bringOneBack(name)
	}
}

// bringOneBack undoes one MoveAway. The caller holds mu.
func (d *Disk) bringOneBack(name string) {
	s := d.away[name]
	if s == nil {
		return
	}
	d.trace.add(Rename, name, "moved back")
	delete(d.away, name)
	if above := d.shelfAbove(name); above != nil { // it comes back with the directory that it was taken out of
		above.take(s)
		return
	}
	d.shelve(name)
	maps.Copy(d.names, s.names)
	maps.Copy(d.durable, s.durable)
	d.pending = append(d.pending, s.pending...)
}

// shelfAbove is what holds the nearest directory above a name that is away itself, or nil. The caller holds mu.
func (d *Disk) shelfAbove(name string) *shelf {
	for dir := path.Dir(name); dir != path.Dir(dir); dir = path.Dir(dir) {
		if s := d.away[dir]; s != nil {
			return s
		}
	}
	return nil
}

// take adds what another shelf holds.
func (s *shelf) take(o *shelf) {
	maps.Copy(s.names, o.names)
	maps.Copy(s.durable, o.durable)
	s.pending = append(s.pending, o.pending...)
}

// shelve removes a name, all names below it and what is to become durable of them. The caller holds mu.
func (d *Disk) shelve(name string) *shelf {
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

// extract moves the entries with some names into a map of their own.
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
