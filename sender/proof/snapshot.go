package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/reporterd/reporterd/internal/durable"
)

// A snapshot is a cache: without it everything is asked for again, at the prober's rate. It holds
//
//	 8  "RPPROOF1"
//	16  salt
//	 n  records of 28: key, until, denied, named (Unix seconds, 32 bits, little-endian)
//	 4  CRC32C of everything before
const (
	magic      = "RPPROOF1"
	head       = len(magic) + 16
	recordSize = 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes what is proven, if that changed since the last Save, into a file with permissions 0600. A
// reader finds the old one or the new one. Names are in it as salted hashes only.
func (p *Proofs) Save(file string) error {
	data := p.encode(time.Now())
	if data == nil {
		return nil
	}
	if err := durable.WriteFile(file, data, 0o600); err != nil {
		p.mu.Lock()
		p.changed = true
		p.mu.Unlock()
		return fmt.Errorf("proof: save: %w", err)
	}
	return nil
}

func (p *Proofs) encode(now time.Time) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.changed {
		return nil
	}
	p.changed = false
	data := make([]byte, 0, head+len(p.records)*recordSize+4)
	data = append(append(data, magic...), p.salt[:]...)
	for k, r := range p.records {
		if !p.counts(r, now.Unix()) {
			continue
		}
		data = append(data, k[:]...)
		for _, at := range [...]uint32{r.until, r.denied, r.named} {
			data = binary.LittleEndian.AppendUint32(data, at)
		}
	}
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// counts reports whether a record still says something.
func (p *Proofs) counts(r record, now int64) bool {
	return int64(r.until) > now || int64(max(r.denied, r.named))+p.grace > now
}

// mostLoaded bounds what is read of a file that claims to be a snapshot.
const mostLoaded = 1 << 30

// Load takes over what an earlier process saved, as far as it still counts, into Proofs that know nothing
// yet. A file that is missing or damaged is worth nothing, and an error only in the latter case.
func (p *Proofs) Load(file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() > mostLoaded {
		err = errors.New("too large for a snapshot")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return fmt.Errorf("proof: load: %w", err)
	}
	end := len(data) - 4
	if end < head || (end-head)%recordSize != 0 || string(data[:len(magic)]) != magic ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return errors.New("proof: load: the snapshot is damaged, everything is asked for again")
	}
	p.decode(data[:end], time.Now().Unix())
	return nil
}

func (p *Proofs) decode(data []byte, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	copy(p.salt[:], data[len(magic):])
	latest := now + int64(p.life/time.Second) // the life may have been made shorter since
	for data = data[head:]; len(data) > 0 && len(p.records) < p.most; data = data[recordSize:] {
		at := func(n int) uint32 { return binary.LittleEndian.Uint32(data[16+4*n:]) }
		r := record{until: uint32(min(int64(at(0)), latest)), denied: at(1), named: at(2)}
		if p.counts(r, now) {
			p.records[key(data[:16])] = r
		}
	}
}
