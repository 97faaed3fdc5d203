package quota

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"

	"github.com/reporterd/reporterd/threescale"
)

// ID names a service or an application in memory without its keys: two hashes whose seeds are new in every process. It decides
// where usage is counted, never which call is allowed.
type ID struct{ high, low uint64 }

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func identify(kind byte, a, b string) ID {
	var id [2]uint64
	for i, seed := range seeds {
		x := maphash.String(seed, a)
		y := maphash.String(seed, b)
		id[i] = mix(x^uint64(kind), y)
	}
	return ID{id[0], id[1]}
}

// mix joins two hashes so that their order matters.
func mix(x, y uint64) uint64 {
	x ^= y*0x9e3779b97f4a7c15 + x<<6 + x>>2
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

// identifyService returns the ID of a service by its id; without one, by the provider key whose default service it is.
func identifyService(id string, c threescale.Credentials) ID {
	if id == "" {
		return identify('d', c.ProviderKey, "")
	}
	return identify('s', id, "")
}

// identifyApplication returns the ID of an application of a service, by its id or by its user key.
func identifyApplication(service ID, app threescale.Application) ID {
	return identifyPart(service, identifyApplicationPart(app))
}

// identifyApplicationPart is the part of the ID of an application that its service has no influence on.
func identifyApplicationPart(app threescale.Application) ID {
	if app.ID != "" {
		return identify('a', app.ID, "")
	}
	return identify('u', app.UserKey, "")
}

func identifyPart(service, part ID) ID {
	return ID{mix(service.high, part.high), mix(service.low, part.low)}
}

// ServiceName is what a service is named by.
type ServiceName struct {
	ID          string
	Credentials threescale.Credentials // where ID is empty, the provider key whose default service it is
}

// Key returns the ID that stands for the name in memory.
func (n ServiceName) Key() ID { return identifyService(n.ID, n.Credentials) }

// Name is what an application is named by.
type Name struct {
	Service     ServiceName
	Application threescale.Application
}

func (n Name) id() ID { return identifyApplication(n.Service.Key(), n.Application) }

// Fingerprint names a service or an application in a file: a hash with a secret that stays the same across restarts, so that the
// file has no user key and no provider key in clear.
type Fingerprint [16]byte

func (t *Tracker) fingerprint(kind byte, parts ...string) (f Fingerprint) {
	b := append(make([]byte, 0, 256), t.secret[:]...)
	b = append(b, kind)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	sum := sha256.Sum256(b)
	copy(f[:], sum[:])
	return f
}

func (t *Tracker) serviceFingerprint(n ServiceName) Fingerprint {
	if n.ID == "" {
		return t.fingerprint('d', n.Credentials.ProviderKey)
	}
	return t.fingerprint('s', n.ID)
}

func (t *Tracker) partFingerprint(app threescale.Application) Fingerprint {
	if app.ID != "" {
		return t.fingerprint('a', app.ID)
	}
	return t.fingerprint('u', app.UserKey)
}

func (t *Tracker) joinFingerprints(service, part Fingerprint) Fingerprint {
	return t.fingerprint('j', string(service[:]), string(part[:]))
}

func (t *Tracker) applicationFingerprint(n Name) Fingerprint {
	return t.joinFingerprints(t.serviceFingerprint(n.Service), t.partFingerprint(n.Application))
}
