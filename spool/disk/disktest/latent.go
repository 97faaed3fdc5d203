package disktest

import "path"

// Latent makes the sectors under n bytes of a file unreadable, like a drive with latent sector errors: reading them returns EIO
// until they are written again, or Mend or Heal. It reports whether the file has those bytes. The sectors stay unreadable in
// later lives.
func (d *Disk) Latent(name string, offset, n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.names[path.Clean(name)]
	if i == nil || i.dir || offset < 0 || n <= 0 || offset+n > i.now.size {
		return false
	}
	if i.latent == nil {
		i.latent = map[int64]bool{}
	}
	for s := offset / sector; s < roundUp(offset+n)/sector; s++ {
		i.latent[s] = true
	}
	return true
}

// Mend undoes Latent for a file: its data is unchanged.
func (d *Disk) Mend(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.names[path.Clean(name)]; i != nil {
		i.latent = nil
	}
}

// unreadable reports whether a read of the bytes in [from, to) hits a latent sector error.
func (i *inode) unreadable(from, to int64) bool {
	if len(i.latent) == 0 {
		return false
	}
	for s := from / sector; s*sector < to; s++ {
		if i.latent[s] {
			return true
		}
	}
	return false
}

// rewrite makes the sectors under the bytes in [from, to) readable again.
func (i *inode) rewrite(from, to int64) {
	for s := range i.latent {
		if s*sector < to && (s+1)*sector > from {
			delete(i.latent, s)
		}
	}
}
