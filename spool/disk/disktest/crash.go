package disktest

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// Crash cuts the power and returns the disk of the next life: what was durable, and of the rest an outcome that the hardware may
// produce. d is stopped. Each call draws another outcome of the same crash; the disks share no data.
func (d *Disk) Crash() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.bringBackLocked()
	l := drawLuck(d.rng)
	names := maps.Clone(d.durable)
	for _, n := range d.pending {
		if l.keeps(d.rng) {
			n.apply(names)
		}
	}
	orphan(names)
	copies := map[*inode]*inode{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in a fixed order, since each iteration draws random numbers
		i := names[name]
		if copies[i] == nil {
			m := i.torn(d.rng, l, len(i.pending))
			copies[i] = &inode{dir: i.dir, now: m, safe: m.clone(), reserved: min(i.reserved, m.size), latent: maps.Clone(i.latent)}
		}
		names[name] = copies[i]
	}
	n := d.nextLocked(names, maps.Clone(names), nil)
	n.boots++
	return n
}

// Kill ends the process but not the machine, as kill -9 does: the next life sees everything that was written, and what was not
// synced is still not durable. d is stopped.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.bringBackLocked()
	copies := map[*inode]*inode{}
	copied := func(i *inode) *inode {
		if i != nil && copies[i] == nil {
			copies[i] = i.clone()
		}
		return copies[i]
	}
	names, durable := map[string]*inode{}, map[string]*inode{}
	for name, i := range d.names {
		names[name] = copied(i)
	}
	for name, i := range d.durable {
		durable[name] = copied(i)
	}
	pending := make([]naming, len(d.pending))
	for k, n := range d.pending {
		for _, e := range n {
			pending[k] = append(pending[k], entry{e.name, copied(e.node)})
		}
	}
	return d.nextLocked(names, durable, pending)
}

// nextLocked returns the disk of the next life.
func (d *Disk) nextLocked(names, durable map[string]*inode, pending []naming) *Disk {
	return &Disk{
		rng:      rand.New(rand.NewPCG(d.rng.Uint64(), d.rng.Uint64())),
		capacity: d.capacity,
		names:    names,
		durable:  durable,
		pending:  pending,
		open:     map[*inode]int{},
		locks:    map[*inode]bool{},
		away:     map[string]*shelf{},
		boots:    d.boots,
	}
}

// orphan removes every name whose directory was lost.
func orphan(names map[string]*inode) {
	for _, name := range slices.Sorted(maps.Keys(names)) { // parents sort before their children
		if dir := names[path.Dir(name)]; dir == nil || !dir.dir {
			delete(names, name)
		}
	}
}
